// Abstract execution of one function: all of its paths at once, with what is known of its values instead of
// the values. Each loop's body is walked twice: the first time nothing is believed of what the loop changes,
// the second time what the first has shown, and a guess that the walk itself must confirm, or a third one
// does without.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "control/code/loop_bound.hpp"
#include "drivers/wabt/code.hpp"

namespace pgrid::control {

/// What a caller may rely on.
struct Summary {
  std::vector<Arc> results;     // by result; of those that are no integers: nothing
  bool gives_received = false;  // its one result is what receive gave during that call
};

/// What the analysis may still do, so that a hostile module costs a bounded time. One unit is about a value
/// looked at.
struct Work {
  std::uint64_t left = 0;
  bool take(std::uint64_t units) {
    if (units > left) return left = 0, false;
    left -= units;
    return true;
  }
};

struct LoopFinding {
  bool reached = false;
  Bound bound;
  bool receives = false;  // it calls receive: a hint for people
  bool counts = false;    // something in it counts: the same
};

struct WalkResult {
  bool finished = false;           // else there was too much to do, and nothing below holds
  std::vector<LoopFinding> loops;  // by block
  std::unordered_map<std::uint32_t, std::uint64_t>
      copied;  // by instruction: the most that a copying one moves
  Summary summary;
  std::size_t stack_max = 0;  // values on the operand stack
};

struct Surroundings {
  const code::Module& module;
  std::uint32_t receive = code::kNothing;  // index of the import
  std::span<const Summary> summaries;      // by function; empty ones know nothing
  std::uint64_t memory_bytes = 0;
  /// Told of every call that can happen, with what its operands are.
  std::function<void(std::uint32_t callee, std::span<const Value> operands)> on_call;
};

/// `parameters`: where they lie, by parameter; shorter: nothing is known.
[[nodiscard]] WalkResult walk(const code::Function& function, std::span<const Arc> parameters,
                              const Surroundings& around, Work& work);

}  // namespace pgrid::control
