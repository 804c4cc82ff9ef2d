// How often a loop can begin again, from what was seen at the places where it does. Rules and their proofs:
// docs/VERIFYING.md.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "control/code/value.hpp"

namespace pgrid::control {

/// Messages that one activation may read: kActivationMax of the worker (DESIGN section 5).
inline constexpr std::uint64_t kMessagesPerActivation = 32;

/// One integer local that a loop changes.
struct Change {
  std::uint32_t local = 0;
  Symbol header = kZero;            // when an iteration begins it is this
  std::uint64_t header_offset = 0;  // and so much more
  Value entry;                      // what it is before the first
  std::optional<Arc> guess;         // where it was taken to lie when an iteration begins, to be checked
  // Over all places where the loop begins again:
  Arc before, after;  // what it was when the iteration began, and what it is now
  bool steps = true;  // now = before + step, the step a constant of the place
  std::int64_t step_min = 0, step_max = 0;
  std::uint8_t step_zeros = 64;  // low bits that are 0 in each step
  bool halves = true;            // now = before divided by at least 2, and one of them is not 0
};

/// What was seen of a loop during one walk through its body.
struct Iterations {
  Symbol last_before = kZero;  // the newest symbol that is older than the loop
  std::vector<Change> changes;
  std::vector<Unequal> unequal;  // true wherever it begins again
  bool receives = true;          // each iteration took a message before it began again
  std::uint32_t places = 0;      // where it begins again

  /// One place where it begins again.
  void begins_again(const State& state, std::size_t first_watched, const Names& names);
};

struct Bound {
  bool is_proved = false;
  std::uint64_t in_activation = 0;  // how often it begins again, each time it is entered
  std::uint64_t in_message = 0;     // the same, between two messages received
};

[[nodiscard]] Bound bound_of(const Iterations& iterations);

/// What `change.local` can be when an iteration begins, given what was seen: of an integer.
[[nodiscard]] Arc header_arc(const Iterations& iterations, const Change& change, const Bound& bound);
/// A narrower arc, which holds if it holds after each iteration that begins in it: a local that only grows
/// does not fall below where it began. For the walk to check.
[[nodiscard]] std::optional<Arc> guessed_arc(const Iterations& iterations, const Change& change,
                                             const Arc& safe);
[[nodiscard]] std::uint8_t header_zeros(const Iterations& iterations, const Change& change);

/// Two locals that began at a known distance and were seen to make the same steps: they keep their distance.
[[nodiscard]] bool keep_distance(const Iterations& iterations, const Change& a, const Change& b);

}  // namespace pgrid::control
