// What a poll core does after a turn that found nothing: burn the core (spin), let others run (yield), or
// give it back for a while (sleep), longer the longer nothing comes.
#pragma once

#include <sched.h>
#include <time.h>

#include <algorithm>
#include <cstdint>

#include "abi/shared/stats.hpp"

namespace pgrid::dataplane {

enum class IdlePolicy : std::uint8_t { spin, yield, sleep };

inline constexpr std::uint32_t kEmptyTurnsBeforeSleep =
    64;                                            // about 10 us of polling: a burst's neighbours come sooner
inline constexpr std::uint32_t kSleepStepUs = 10;  // each sleep is this much longer than the one before
inline constexpr std::uint32_t kSleepMaxUs = 100;  // bounds what idling adds to a message's latency

/// Owned by one poll core.
class Idle {
 public:
  explicit Idle(IdlePolicy policy) noexcept : policy_(policy) {}

  /// After every turn. Only here does a poll core make a system call of its own, and only when
  /// there was nothing to do.
  void after_turn(bool found_work, abi::PollCoreStats& stats) noexcept {
    if (found_work) {
      empty_turns_ = 0;
      sleep_us_ = 0;
      return;
    }
    abi::bump(stats.idle_turns);
    if (policy_ == IdlePolicy::spin) return relax();
    if (++empty_turns_ < kEmptyTurnsBeforeSleep) return relax();
    abi::bump(stats.sleeps);
    if (policy_ == IdlePolicy::yield) {
      ::sched_yield();
      return;
    }
    sleep_us_ = std::min(sleep_us_ + kSleepStepUs, kSleepMaxUs);
    const timespec time{0, static_cast<long>(sleep_us_) * 1000};
    ::nanosleep(&time, nullptr);  // thread timer slack is set to 1 us at start: see run_poll_core
  }

 private:
  static void relax() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }
  IdlePolicy policy_;
  std::uint32_t empty_turns_ = 0;
  std::uint32_t sleep_us_ = 0;
};

}  // namespace pgrid::dataplane
