#include "control/code/value.hpp"

#include <utility>

namespace pgrid::control {
namespace {

using code::Op;

constexpr int kDepthMax = 8;  // conditions of conditions
constexpr std::size_t kUnequalMax = 8;

Op opposite(Op op) {
  switch (op) {
    case Op::eq:
      return Op::ne;
    case Op::ne:
      return Op::eq;
    case Op::lt_s:
      return Op::ge_s;
    case Op::lt_u:
      return Op::ge_u;
    case Op::gt_s:
      return Op::le_s;
    case Op::gt_u:
      return Op::le_u;
    case Op::le_s:
      return Op::gt_s;
    case Op::le_u:
      return Op::gt_u;
    case Op::ge_s:
      return Op::lt_s;
    default:
      return Op::lt_u;
  }
}

/// The comparison with its sides exchanged.
Op mirrored(Op op) {
  switch (op) {
    case Op::lt_s:
      return Op::gt_s;
    case Op::lt_u:
      return Op::gt_u;
    case Op::gt_s:
      return Op::lt_s;
    case Op::gt_u:
      return Op::lt_u;
    case Op::le_s:
      return Op::ge_s;
    case Op::le_u:
      return Op::ge_u;
    case Op::ge_s:
      return Op::le_s;
    case Op::ge_u:
      return Op::le_u;
    default:
      return op;
  }
}

/// Where x lies when `x op y` holds and y lies in `y`. Nothing: nowhere.
std::optional<Arc> allowed(Op op, const Arc& y, unsigned width) {
  const std::uint64_t ones = all_ones(width), sign = sign_bit(width);
  if (op == Op::ne) return y.is_one() ? Arc{(y.first + 1) & ones, ones - 1} : Arc::any(width);
  if (y.span > kCheckedSpan) return Arc::any(width);  // a bound that nobody checked is none
  if (op == Op::eq) return y;
  // Signed numbers become unsigned ones of the same order when their sign bit is turned over.
  const bool is_signed = op == Op::lt_s || op == Op::gt_s || op == Op::le_s || op == Op::ge_s;
  const std::uint64_t turn = is_signed ? sign : 0;
  const std::uint64_t low = is_signed ? y.signed_low(width) : y.low(width);
  const std::uint64_t high = is_signed ? y.signed_high(width) : y.high(width);
  switch (op) {
    case Op::lt_s:
    case Op::lt_u:
      return high == 0 ? std::nullopt : std::optional(Arc::between(turn, (high - 1) ^ turn, width));
    case Op::le_s:
    case Op::le_u:
      return Arc::between(turn, high ^ turn, width);
    case Op::gt_s:
    case Op::gt_u:
      return low == ones ? std::nullopt : std::optional(Arc::between((low + 1) ^ turn, ones ^ turn, width));
    case Op::ge_s:
    case Op::ge_u:
      return Arc::between(low ^ turn, ones ^ turn, width);
    default:
      return Arc::any(width);
  }
}

/// `value` lies in `arc`: so do all others of its symbol, each at its distance.
bool confine(State& state, const Names& names, const Value& value, const Arc& arc) {
  const auto own = meet(value.arc, arc, value.width);
  if (!own) return false;
  if (value.symbol == kZero) return true;
  for (std::vector<Value>* part : {&state.locals, &state.watched, &state.stack})
    for (Value& other : *part) {
      if (other.symbol != value.symbol || other.width != value.width) continue;
      const auto narrower = meet(other.arc, own->plus(other.offset - value.offset, value.width), value.width);
      if (!narrower) return false;
      other.arc = *narrower;
    }
  const Arc number = own->plus(0 - value.offset, value.width);
  if (number.low(value.width) >= 1 && number.high(value.width) < sign_bit(value.width)) {
    const auto origin = names.origins.find(value.symbol);
    if (origin != names.origins.end() && origin->second.kind == Origin::Kind::receive)
      state.received = std::max(state.received, value.symbol);
  }
  return true;
}

Arc of_symbol(const Value& value) {
  return value.symbol == kZero ? Arc::one(0) : value.arc.plus(0 - value.offset, value.width);
}

std::uint8_t zeros_of_symbol(const Value& value) {
  return std::min(value.zeros, Value::constant(value.offset, value.width).zeros);
}

void remember_unequal(State& state, Value x, Value y) {
  if (x.symbol == kZero) std::swap(x, y);
  if (x.symbol == kZero || x.symbol == y.symbol) return;
  const Unequal fact{.x = x.symbol,
                     .y = y.symbol,
                     .offset = (x.offset - y.offset) & all_ones(x.width),
                     .width = x.width,
                     .x_arc = of_symbol(x),
                     .y_arc = of_symbol(y),
                     .x_zeros = zeros_of_symbol(x),
                     .y_zeros = zeros_of_symbol(y)};
  std::erase_if(state.unequal, [&](const Unequal& one) { return one.is_same(fact); });
  if (state.unequal.size() == kUnequalMax) state.unequal.erase(state.unequal.begin());
  state.unequal.push_back(fact);
}

bool assume_comparison(State& state, const Names& names, Op op, const Value& x, const Value& y) {
  const auto for_x = allowed(op, y.arc, x.width);
  const auto for_y = allowed(mirrored(op), x.arc, x.width);
  if (!for_x || !for_y) return false;
  if (op == Op::ne) remember_unequal(state, x, y);
  if (op == Op::ne && x.symbol == y.symbol && x.offset == y.offset) return false;
  return confine(state, names, x, *for_x) && confine(state, names, y, *for_y);
}

bool assume(State& state, const Names& names, const Value& value, bool truth, int depth) {
  if (!value.is_integer()) return true;
  if (value.condition != 0 && depth < kDepthMax) {
    const Condition& condition = names.conditions[value.condition];
    switch (condition.op) {
      case Op::eqz:
        return assume(state, names, condition.x, !truth, depth + 1);
      case Op::and_:   // both are not 0, when the result is not
      case Op::or_: {  // both are 0, when the result is
        const bool says_both = truth == (condition.op == Op::and_);
        if (says_both && !(assume(state, names, condition.x, truth, depth + 1) &&
                           assume(state, names, condition.y, truth, depth + 1)))
          return false;
        break;
      }
      default:
        return assume_comparison(state, names, truth ? condition.op : opposite(condition.op), condition.x,
                                 condition.y);
    }
  }
  return assume_comparison(state, names, truth ? Op::ne : Op::eq, value, Value::constant(0, value.width));
}

Value join(const Value& a, const Value& b, Names& names) {
  if (!a.is_integer() || !b.is_integer() || a.width != b.width)
    return a.symbol == b.symbol ? a : Value{.symbol = names.fresh(), .width = a.width};
  const Arc arc = join(a.arc, b.arc, a.width);
  Value both = a;
  both.arc = arc;
  both.zeros = std::min(a.zeros, b.zeros);
  if (a.symbol != b.symbol || a.offset != b.offset) {
    both.symbol = names.fresh();
    both.offset = 0;
  }
  if (a.condition != b.condition) both.condition = 0;
  return both;
}

}  // namespace

bool assume(State& state, const Names& names, const Value& value, bool truth) {
  return assume(state, names, value, truth, 0);
}

std::optional<Arc> arc_if(const Names& names, const Value& value, const Value& condition, bool truth) {
  State alone;
  alone.stack.push_back(value);
  if (!assume(alone, names, condition, truth, 0)) return std::nullopt;
  return alone.stack.front().arc;
}

void join(std::vector<Unequal>& into, const std::vector<Unequal>& other) {
  std::erase_if(into, [&](Unequal& fact) {
    const auto same = std::ranges::find_if(other, [&](const Unequal& one) { return one.is_same(fact); });
    if (same == other.end()) return true;
    fact.x_arc = join(fact.x_arc, same->x_arc, fact.width);
    fact.y_arc = join(fact.y_arc, same->y_arc, fact.width);
    fact.x_zeros = std::min(fact.x_zeros, same->x_zeros);
    fact.y_zeros = std::min(fact.y_zeros, same->y_zeros);
    return false;
  });
}

void join(State& into, const State& other, Names& names) {
  for (std::size_t i = 0; i < into.locals.size(); ++i)
    into.locals[i] = join(into.locals[i], other.locals[i], names);
  for (std::size_t i = 0; i < into.stack.size(); ++i)
    into.stack[i] = join(into.stack[i], other.stack[i], names);
  for (std::size_t i = 0; i < into.watched.size(); ++i) {
    // Both are the same number, known to a different degree.
    into.watched[i].arc = join(into.watched[i].arc, other.watched[i].arc, into.watched[i].width);
  }
  join(into.unequal, other.unequal);
  into.received = std::min(into.received, other.received);
}

}  // namespace pgrid::control
