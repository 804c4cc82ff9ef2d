// The most steps that a function can take, given how often its loops run. A step is one WebAssembly
// instruction executed; one that copies takes a step more for every 16 bytes, and a host call as many as its
// message may be long.
#pragma once

#include <cstdint>
#include <functional>

#include "control/code/walk.hpp"
#include "drivers/wabt/code.hpp"

namespace pgrid::control {

inline constexpr std::uint64_t kEndless = ~std::uint64_t{0};
inline constexpr std::uint64_t kBytesPerStep = 16;
inline constexpr std::uint64_t kHostCallSteps = 1088 / kBytesPerStep;  // the largest message: header and body

struct Steps {
  std::uint64_t in_activation = 0;  // from call to return
  std::uint64_t in_message =
      0;  // the most that lies between two messages received, or before the first, or after the last

  [[nodiscard]] Steps plus(const Steps& other) const;
  [[nodiscard]] Steps times(const Bound& bound) const;
  static Steps larger(const Steps& a, const Steps& b);
};

/// `callee_steps`: of a call, direct or not.
[[nodiscard]] Steps steps_of(const code::Function& function, const WalkResult& walked,
                             std::uint64_t memory_bytes,
                             const std::function<Steps(const code::Instruction&)>& callee_steps);

}  // namespace pgrid::control
