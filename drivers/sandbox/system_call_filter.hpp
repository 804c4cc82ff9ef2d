// A list of system calls that stay possible (seccomp). Whatever is not on it ends the process with SIGSYS.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "drivers/base/result.hpp"

namespace pgrid::sandbox {

/// What must hold of one argument: the bits of `mask` are those of `value`. The kernel sees numbers, never what a
/// pointer leads to.
struct Condition {
  static constexpr std::uint64_t kWord = 0xffff'ffff;  // an int or unsigned: callers leave anything in the upper half

  unsigned argument = 0;  // 0 to 5
  std::uint64_t mask = 0;  // 0: nothing must hold
  std::uint64_t value = 0;
};
constexpr Condition is(unsigned argument, std::int64_t value) {
  return {argument, Condition::kWord, static_cast<std::uint64_t>(value) & Condition::kWord};
}
constexpr Condition bits(unsigned argument, std::uint64_t mask, std::uint64_t value) { return {argument, mask, value}; }

/// One call, allowed when all its conditions hold. A call that is listed several times is allowed when one entry fits.
struct SystemCall {
  int number;            // SYS_...
  std::string_view why;  // for people
  Condition conditions[2] = {};
};

/// From here on, in all threads of the process and for good, only these calls are possible. Calls of other
/// architectures (32-bit, x32) are not. REQUIRES: no_new_privs.
[[nodiscard]] Result<void> enter_filter(std::span<const SystemCall> allowed);

}  // namespace pgrid::sandbox
