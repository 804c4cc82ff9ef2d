#include "control/code/loop_bound.hpp"

#include <bit>
#include <limits>

namespace pgrid::control {
namespace {

constexpr std::uint64_t kMost = ~std::uint64_t{0};

std::int64_t as_signed(std::uint64_t value, unsigned width) {
  return static_cast<std::int64_t>(value << (64 - width)) >> (64 - width);
}

/// The arc seen from `base` upwards, or downwards: distances.
Arc distances(const Arc& arc, std::uint64_t base, bool upwards, unsigned width) {
  if (arc.is_any(width)) return arc;
  const std::uint64_t nearest = upwards ? arc.first - base : base - arc.last(width);
  return {nearest & all_ones(width), arc.span};
}

/// It moves one way, and is known to have stood on this side of something whenever the loop began again.
/// Distances from where it began do not wrap, so each iteration adds the smallest step at least, to something
/// that is at most `farthest`.
std::optional<std::uint64_t> by_steps(const Change& change) {
  const unsigned width = change.entry.width;
  const bool upwards = change.step_min > 0;
  if (!change.steps || (!upwards && change.step_max >= 0)) return std::nullopt;
  const auto small = static_cast<std::uint64_t>(upwards ? change.step_min : -change.step_max);
  const auto large = static_cast<std::uint64_t>(upwards ? change.step_max : -change.step_min);
  const std::uint64_t base = upwards ? change.entry.arc.first : change.entry.arc.last(width);
  const std::uint64_t farthest = distances(change.before, base, upwards, width).high(width);
  if (large > all_ones(width) || farthest > all_ones(width) - large) return std::nullopt;
  const std::uint64_t times = farthest / small + 1;
  // Else it is only known not to wrap: that is no check.
  if (times > kCheckedSpan && change.entry.arc.span > kCheckedSpan) return std::nullopt;
  return times;
}

/// It goes on only while header + offset is not `target`, which the loop does not change; and the steps meet
/// the target exactly.
std::optional<std::uint64_t> by_inequality(const Change& change, std::uint64_t offset, Symbol target,
                                           const Arc& target_arc, std::uint8_t target_zeros) {
  if (!change.steps || change.step_min != change.step_max || change.step_min == 0) return std::nullopt;
  const unsigned width = change.entry.width;
  const bool upwards = change.step_min > 0;
  const auto step = static_cast<std::uint64_t>(upwards ? change.step_min : -change.step_min);
  if (change.entry.symbol == target) {
    const std::uint64_t ahead = upwards ? 0 - (change.entry.offset + offset) : change.entry.offset + offset;
    const std::uint64_t distance = ahead & all_ones(width);
    if (distance % step != 0) return std::nullopt;
    return distance / step;
  }
  // Steps of 2^n meet what is a multiple of 2^n away, after one turn of the clock at most.
  if (!std::has_single_bit(step)) return std::nullopt;
  const auto needed = static_cast<std::uint8_t>(std::countr_zero(step));
  const std::uint8_t offset_zeros = Value::constant(offset, change.entry.width).zeros;
  if (needed != 0 && std::min({change.entry.zeros, target_zeros, offset_zeros}) < needed) return std::nullopt;
  const Arc start = change.entry.arc.plus(offset, width);
  if (start.span > all_ones(width) - target_arc.span) return std::nullopt;
  const std::uint64_t nearest =
      upwards ? target_arc.first - start.last(width) : start.first - target_arc.last(width);
  const Arc distance{nearest & all_ones(width), start.span + target_arc.span};
  const std::uint64_t times = distance.high(width) / step;
  return times <= kCheckedSpan ? std::optional(times) : std::nullopt;
}

std::optional<std::uint64_t> by_inequalities(const Iterations& iterations, const Change& change) {
  std::optional<std::uint64_t> best;
  const auto take = [&best](std::optional<std::uint64_t> times) {
    if (times && (!best || *times < *best)) best = times;
  };
  for (const Unequal& fact : iterations.unequal) {
    if (fact.width != change.entry.width) continue;
    if (fact.x == change.header && fact.y <= iterations.last_before)
      take(by_inequality(change, (fact.offset - change.header_offset) & all_ones(fact.width), fact.y,
                         fact.y_arc, fact.y_zeros));
    if (fact.y == change.header && fact.x <= iterations.last_before)
      take(by_inequality(change, (0 - fact.offset - change.header_offset) & all_ones(fact.width), fact.x,
                         fact.x_arc, fact.x_zeros));
  }
  return best;
}

}  // namespace

void Iterations::begins_again(const State& state, std::size_t first_watched, const Names& names) {
  const bool first = places++ == 0;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    Change& change = changes[i];
    const Value& was = state.watched[first_watched + i];
    const Value& is = state.locals[change.local];
    const unsigned width = change.entry.width;
    change.before = first ? was.arc : join(change.before, was.arc, width);
    change.after = first ? is.arc : join(change.after, is.arc, width);
    const std::uint64_t moved = (is.offset - change.header_offset) & all_ones(width);
    const std::int64_t step = as_signed(moved, width);
    if (is.symbol == change.header && step != std::numeric_limits<std::int64_t>::min()) {
      change.step_min = first ? step : std::min(change.step_min, step);
      change.step_max = first ? step : std::max(change.step_max, step);
      change.step_zeros = std::min(change.step_zeros, Value::constant(moved, is.width).zeros);
    } else {
      change.steps = false;
    }
    const auto origin = names.origins.find(is.symbol);
    change.halves = change.halves && is.offset == 0 && change.header_offset == 0 &&
                    origin != names.origins.end() && origin->second.kind == Origin::Kind::quotient &&
                    origin->second.of == change.header && (!was.arc.has(0, width) || !is.arc.has(0, width));
  }
  if (first)
    unequal = state.unequal;
  else
    join(unequal, state.unequal);
  receives = receives && state.received > last_before;
}

Bound bound_of(const Iterations& iterations) {
  if (iterations.places == 0) return {.is_proved = true};
  std::optional<std::uint64_t> counted;
  const auto take = [&counted](std::optional<std::uint64_t> times) {
    if (times && (!counted || *times < *counted)) counted = times;
  };
  for (const Change& change : iterations.changes) {
    take(by_steps(change));
    take(by_inequalities(iterations, change));
    if (change.halves) take(std::bit_width(change.entry.arc.high(change.entry.width)));
  }
  if (!counted && !iterations.receives) return {};
  Bound bound{
      .is_proved = true, .in_activation = counted.value_or(kMost), .in_message = counted.value_or(kMost)};
  if (iterations.receives) {
    bound.in_activation = std::min(bound.in_activation, kMessagesPerActivation);
    // Between two messages at most one iteration ends: the one that the first message was received in.
    bound.in_message = std::min<std::uint64_t>(bound.in_message, 1);
  }
  return bound;
}

Arc header_arc(const Iterations& iterations, const Change& change, const Bound& bound) {
  const unsigned width = change.entry.width;
  if (iterations.places == 0) return change.entry.arc;
  const Arc seen = join(change.entry.arc, change.after, width);
  if (!change.steps || !bound.is_proved) return seen;
  std::uint64_t up = 0, down = 0, span = 0;
  const auto times = [&](std::int64_t step, std::uint64_t& distance) {
    return !__builtin_mul_overflow(static_cast<std::uint64_t>(step), bound.in_activation, &distance);
  };
  const bool fits = times(std::max<std::int64_t>(change.step_max, 0), up) &&
                    times(change.step_min < 0 ? -change.step_min : 0, down) &&
                    !__builtin_add_overflow(up, down, &span) &&
                    !__builtin_add_overflow(span, change.entry.arc.span, &span);
  if (!fits || span >= all_ones(width)) return seen;
  const Arc counted{(change.entry.arc.first - down) & all_ones(width), span};
  return meet(seen, counted, width).value_or(seen);
}

std::optional<Arc> guessed_arc(const Iterations& iterations, const Change& change, const Arc& safe) {
  if (iterations.places == 0 || !change.steps) return std::nullopt;
  const unsigned width = change.entry.width;
  Arc guess;
  if (change.step_min > 0)
    guess = Arc::between(change.entry.arc.first, change.after.last(width), width);
  else if (change.step_max < 0)
    guess = Arc::between(change.after.first, change.entry.arc.last(width), width);
  else
    return std::nullopt;
  const bool is_narrower = guess.has_all(change.entry.arc, width) && guess.span < safe.span;
  return is_narrower ? std::optional(guess) : std::nullopt;
}

std::uint8_t header_zeros(const Iterations& iterations, const Change& change) {
  if (iterations.places == 0) return change.entry.zeros;
  return change.steps ? std::min(change.entry.zeros, change.step_zeros) : 0;
}

bool keep_distance(const Iterations& iterations, const Change& a, const Change& b) {
  return iterations.places != 0 && a.entry.symbol == b.entry.symbol && a.entry.width == b.entry.width &&
         a.steps && b.steps && a.step_min == a.step_max && b.step_min == b.step_max &&
         a.step_min == b.step_min;
}

}  // namespace pgrid::control
