// How often a process may be restarted, for how long it is left alone when that is too often, and when it is given up.
#pragma once

#include <algorithm>
#include <cstdint>

#include "abi/shared/handover.hpp"

namespace pgrid::worker {

/// Restart intensity as supervisors count it (Erlang/OTP's `intensity` and `period`), in windows that begin with a
/// restart; what exceeds it waits, each time twice as long, until a period passed without one. Time is the caller's.
///
/// Where OTP's supervisor ends with all its children when the intensity is exceeded, a process here is paused first: it may
/// mend itself when its peer is back. `on_failure` bounds those pauses, `never` allows no restart at all.
class Restarts {
 public:
  /// What to do after an instance ended.
  struct Verdict {
    std::uint32_t back_off_ms = 0;  // the process is left alone for so long; 0: serve on
    bool gives_up = false;
  };

  /// A restart at `now_ms`. `failed`: there is no instance after it, so that it must not be tried again at once, whatever
  /// the limits.
  Verdict count(std::uint64_t now_ms, const abi::ProcessLimits& limits, bool failed) noexcept {
    const std::uint64_t period_ms = std::max(limits.restart_period_ms, 1u);
    if (in_window_ == 0 || now_ms - window_ms_ >= period_ms) {
      window_ms_ = now_ms;
      in_window_ = 0;
    }
    if (now_ms >= served_from_ms_ + period_ms) back_off_ms_ = 0;
    ++total_;
    ++in_row_;
    ++in_window_;
    served_from_ms_ = now_ms;
    if (limits.strategy == abi::RestartStrategy::never) return {.gives_up = true};
    if (!failed && (limits.restarts_max == 0 || in_window_ <= limits.restarts_max)) return {};
    if (limits.strategy == abi::RestartStrategy::on_failure && pauses_ >= limits.give_up_after) return {.gives_up = true};
    ++pauses_;
    const std::uint64_t least = std::max(limits.backoff_min_ms, 1u);
    const std::uint64_t most = std::max<std::uint64_t>(limits.backoff_max_ms, least);
    back_off_ms_ = static_cast<std::uint32_t>(std::clamp(std::uint64_t{back_off_ms_} * 2, least, most));
    served_from_ms_ += back_off_ms_;
    return {.back_off_ms = back_off_ms_};
  }
  /// A message was handled: pauses and restarts in a row are counted anew.
  void handled() noexcept { in_row_ = pauses_ = 0; }
  /// Somebody restarted it: nothing is held against it any more.
  void begin_anew() noexcept {
    const std::uint32_t total = total_ + 1;
    *this = {};
    total_ = total;
  }

  [[nodiscard]] std::uint32_t total() const noexcept { return total_; }
  /// Without a message handled between them.
  [[nodiscard]] std::uint32_t in_row() const noexcept { return in_row_; }
  [[nodiscard]] std::uint32_t pauses() const noexcept { return pauses_; }

 private:
  std::uint32_t total_ = 0;  // since the process was loaded
  std::uint32_t in_row_ = 0;
  std::uint32_t pauses_ = 0;  // in a row
  std::uint32_t in_window_ = 0;
  std::uint32_t back_off_ms_ = 0;
  std::uint64_t window_ms_ = 0;
  std::uint64_t served_from_ms_ = 0;  // the last restart, or the end of the back-off that followed it
};

}  // namespace pgrid::worker
