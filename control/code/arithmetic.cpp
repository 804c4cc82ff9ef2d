#include "control/code/arithmetic.hpp"

#include <bit>

namespace pgrid::control {
namespace {

using code::Op;

/// 2^bits - 1: the largest number with as many bits as `n` has.
std::uint64_t filled(std::uint64_t n) { return n == 0 ? 0 : ~std::uint64_t{0} >> std::countl_zero(n); }

/// From -2^(bits-1) to 2^(bits-1) - 1.
Arc signed_arc(std::uint32_t bits, unsigned width) {
  const std::uint64_t half = std::uint64_t{1} << (bits - 1);
  return Arc::between((0 - half) & all_ones(width), half - 1, width);
}

Arc sum(const Arc& x, const Arc& y, unsigned width) {
  if (x.span > all_ones(width) - y.span) return Arc::any(width);
  const Arc both{(x.first + y.first) & all_ones(width), x.span + y.span};
  return both.is_any(width) ? Arc::any(width) : both;
}

Arc negated(const Arc& x, unsigned width) {
  return x.is_any(width) ? x : Arc{(0 - x.last(width)) & all_ones(width), x.span};
}

Arc product(const Arc& x, const Arc& y, unsigned width) {
  const std::uint64_t xh = x.high(width), yh = y.high(width);
  if (xh != 0 && yh > all_ones(width) / xh) return Arc::any(width);
  return Arc::between(x.low(width) * y.low(width), xh * yh, width);
}

Arc shifted_left(const Arc& x, std::uint64_t by, unsigned width) {
  if (x.high(width) > all_ones(width) >> by) return Arc::any(width);
  return Arc::between(x.low(width) << by, x.high(width) << by, width);
}

/// Arithmetic shift: what is negative stays negative.
Arc shifted_signed(const Arc& x, std::uint64_t by, unsigned width) {
  const std::uint64_t sign = sign_bit(width);
  const auto shift = [&](std::uint64_t turned) {
    const auto extended = static_cast<std::int64_t>((turned ^ sign) << (64 - width)) >> (64 - width);
    return static_cast<std::uint64_t>(extended >> by) & all_ones(width);
  };
  return Arc::between(shift(x.signed_low(width)), shift(x.signed_high(width)), width);
}

Arc arc_of(Op op, const Value& x, const Value& y, unsigned width) {
  const std::uint64_t xl = x.arc.low(width), xh = x.arc.high(width), yl = y.arc.low(width),
                      yh = y.arc.high(width);
  const std::uint64_t by = y.arc.is_one() ? y.arc.first % width : 0;
  switch (op) {
    case Op::add:
      return sum(x.arc, y.arc, width);
    case Op::sub:
      return sum(x.arc, negated(y.arc, width), width);
    case Op::mul:
      return product(x.arc, y.arc, width);
    case Op::div_u:
      return Arc::between(xl / std::max<std::uint64_t>(yh, 1), xh / std::max<std::uint64_t>(yl, 1), width);
    case Op::rem_u:
      if (yl > xh) return x.arc;
      return Arc::between(0, std::min(xh, std::max<std::uint64_t>(yh, 1) - 1), width);
    case Op::rem_s:
      // The result has the sign of x and is nearer to 0 than y; only the plain case, both not negative, is of
      // use.
      if (xh >= sign_bit(width) || yh >= sign_bit(width)) return Arc::any(width);
      return Arc::between(0, std::min(xh, std::max<std::uint64_t>(yh, 1) - 1), width);
    case Op::and_: {
      // Cutting off low bits rounds down and keeps the order.
      const std::uint64_t mask = y.arc.first;
      const bool cuts = y.arc.is_one() && std::has_single_bit((0 - mask) & all_ones(width));
      if (cuts) return Arc::between(xl & mask, xh & mask, width);
      return Arc::between(0, std::min(xh, yh), width);
    }
    case Op::or_:
      return Arc::between(std::max(xl, yl), filled(xh | yh), width);
    case Op::xor_:
      return Arc::between(0, filled(xh | yh), width);
    case Op::shl:
      return y.arc.is_one() ? shifted_left(x.arc, by, width) : Arc::any(width);
    case Op::shr_u:
      return y.arc.is_one() ? Arc::between(xl >> by, xh >> by, width) : Arc::between(0, xh, width);
    case Op::shr_s:
      return y.arc.is_one() ? shifted_signed(x.arc, by, width) : Arc::any(width);
    default:
      return Arc::any(width);
  }
}

std::uint8_t zeros_of(Op op, const Value& x, const Value& y, unsigned width) {
  switch (op) {
    case Op::add:
    case Op::sub:
    case Op::or_:
    case Op::xor_:
      return std::min(x.zeros, y.zeros);
    case Op::and_:
      return std::max(x.zeros, y.zeros);
    case Op::mul:
      return static_cast<std::uint8_t>(std::min<unsigned>(width, unsigned{x.zeros} + y.zeros));
    case Op::shl:
      if (!y.arc.is_one()) return x.zeros;
      return static_cast<std::uint8_t>(std::min<std::uint64_t>(width, x.zeros + y.arc.first % width));
    default:
      return 0;
  }
}

Value compared(Op op, const Value& x, const Value& y, Names& names) {
  Value truth = names.unknown(32, Arc::between(0, 1, 32));
  truth.condition = static_cast<std::uint32_t>(names.conditions.size());
  names.conditions.push_back({op, x, y});
  return truth;
}

Value moved(const Value& x, std::uint64_t by) {
  Value value = x;
  value.offset = (x.offset + by) & all_ones(x.width);
  value.arc = x.arc.plus(by, x.width);
  value.condition = 0;
  const Value step = Value::constant(by, x.width);
  value.zeros =
      x.is_constant() ? Value::constant(value.offset, x.width).zeros : std::min(x.zeros, step.zeros);
  return value;
}

}  // namespace

Value compute(const code::Instruction& in, const Value& x, Names& names) {
  const unsigned width = in.width;
  switch (in.op) {
    case Op::eqz:
      return compared(Op::eqz, x, {}, names);
    case Op::wrap:
      if (x.arc.high(64) <= all_ones(32)) return names.unknown(32, x.arc);
      return names.unknown(32);
    case Op::extend_u:
      return names.unknown(64, Arc::between(x.arc.low(32), x.arc.high(32), 64));
    case Op::extend_s:
      if (x.arc.high(32) < sign_bit(32)) return names.unknown(64, x.arc);
      return names.unknown(64, signed_arc(32, 64));
    case Op::sign_extend: {
      if (x.arc.high(width) < std::uint64_t{1} << (in.a - 1)) return names.unknown(in.width, x.arc);
      return names.unknown(in.width, signed_arc(in.a, width));
    }
    case Op::count_bits:
      return names.unknown(in.width, Arc::between(0, width, width));
    default:
      return names.unknown(in.width);
  }
}

Value compute(const code::Instruction& in, const Value& x, const Value& y, Names& names) {
  const Op op = in.op;
  if (op >= Op::eq && op <= Op::ge_u) return compared(op, x, y, names);
  // A symbol at a distance stays that symbol, whatever wraps.
  if (op == Op::add && y.is_constant()) return moved(x, y.offset);
  if (op == Op::add && x.is_constant()) return moved(y, x.offset);
  if (op == Op::sub && y.is_constant()) return moved(x, 0 - y.offset);
  if (op == Op::sub && x.symbol == y.symbol) return Value::constant(x.offset - y.offset, in.width);
  const Arc arc = arc_of(op, x, y, in.width);
  Value value = names.unknown(in.width, arc);
  if (value.is_constant()) return value;
  value.zeros = zeros_of(op, x, y, in.width);
  const bool halves = (op == Op::div_u && y.is_constant() && y.offset >= 2) ||
                      (op == Op::shr_u && y.is_constant() && y.offset % in.width >= 1);
  if (halves && x.symbol != kZero && x.offset == 0)
    names.origins[value.symbol] = {Origin::Kind::quotient, x.symbol};
  if (op == Op::and_ || op == Op::or_) {
    value.condition = static_cast<std::uint32_t>(names.conditions.size());
    names.conditions.push_back({op, x, y});
  }
  if (op == Op::xor_ && y.is_constant() && y.offset == 1 && x.arc.high(in.width) <= 1) {
    value.condition = static_cast<std::uint32_t>(names.conditions.size());
    names.conditions.push_back({Op::eqz, x, {}});
  }
  return value;
}

Value select(const Value& x, const Value& y, const Value& condition, Names& names) {
  if (!x.is_integer()) return names.unknown(x.width);
  const auto if_true = arc_if(names, x, condition, true);
  const auto if_false = arc_if(names, y, condition, false);
  if (!if_true && !if_false) return names.unknown(x.width);
  if (!if_true) return y;
  if (!if_false) return x;
  Value value = names.unknown(x.width, join(*if_true, *if_false, x.width));
  if (!value.is_constant()) value.zeros = std::min(x.zeros, y.zeros);
  return value;
}

Value loaded(const code::Instruction& in, Names& names) {
  return names.unknown(in.width, in.b != 0 ? signed_arc(in.a, in.width)
                                           : Arc::between(0, all_ones(64) >> (64 - in.a), in.width));
}

}  // namespace pgrid::control
