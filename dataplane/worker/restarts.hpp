// How often a process may be restarted, and for how long it is left alone when that is too often.
#pragma once

#include <algorithm>
#include <cstdint>

#include "abi/shared/handover.hpp"

namespace pgrid::worker {

inline constexpr std::uint32_t kBackOffMinMs = 10;    // a thousand times what a rebuild takes
inline constexpr std::uint32_t kBackOffMaxMs = 1000;  // a process that mends itself (its peer came back) is soon seen again

/// Restart intensity as supervisors count it (Erlang/OTP's `intensity` and `period`), in windows that begin with a
/// restart; what exceeds it waits, each time twice as long, until a period passed without one. Time is the caller's.
class Restarts {
 public:
  /// A restart at `now_ms`. `failed`: there is no instance after it, so that it must not be tried again at once, whatever
  /// the limits. Gives the milliseconds for which the process is to be left alone; 0: serve on.
  std::uint32_t count(std::uint64_t now_ms, const abi::ProcessLimits& limits, bool failed) noexcept {
    const std::uint64_t period_ms = std::max(limits.restart_period_ms, 1u);
    if (total_ == 0 || now_ms - window_ms_ >= period_ms) {
      window_ms_ = now_ms;
      in_window_ = 0;
    }
    if (now_ms >= served_from_ms_ + period_ms) back_off_ms_ = 0;
    ++total_;
    ++in_window_;
    served_from_ms_ = now_ms;
    if (!failed && (limits.restarts_max == 0 || in_window_ <= limits.restarts_max)) return 0;
    back_off_ms_ = std::clamp(back_off_ms_ * 2, kBackOffMinMs, kBackOffMaxMs);
    served_from_ms_ += back_off_ms_;
    return back_off_ms_;
  }
  [[nodiscard]] std::uint32_t total() const noexcept { return total_; }

 private:
  std::uint32_t total_ = 0;  // since the process was loaded
  std::uint32_t in_window_ = 0;
  std::uint32_t back_off_ms_ = 0;
  std::uint64_t window_ms_ = 0;
  std::uint64_t served_from_ms_ = 0;  // the last restart, or the end of the back-off that followed it
};

}  // namespace pgrid::worker
