// The time of day, one place.
#pragma once

#include <chrono>
#include <cstdint>

namespace pgrid::control {

inline std::int64_t unix_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}
inline std::int64_t unix_ms() { return unix_ns() / 1'000'000; }
inline std::int64_t unix_s() { return unix_ns() / 1'000'000'000; }

}  // namespace pgrid::control
