// The poll cores' clock as the worker reads it: what they wrote into a record can be compared with it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/ticks.hpp"

namespace pgrid::worker {

/// Ticks of the machine's time-stamp counter, which all cores share. Owned by the worker thread.
class Clock {
 public:
  /// `tsc_hz`: abi::Welcome::tsc_hz, not 0.
  explicit Clock(std::uint64_t tsc_hz) noexcept : rate_(tsc_hz), ticks_per_us_(std::max<std::uint64_t>(tsc_hz / 1'000'000, 1)) {}

  [[nodiscard]] std::uint64_t now() const noexcept { return read_counter() + skipped_; }
  [[nodiscard]] std::uint64_t now_ms() const noexcept { return now() / (ticks_per_us_ * 1000); }
  [[nodiscard]] std::uint64_t ticks_of_us(std::uint64_t us) const noexcept { return rate_.ticks_of_us(us); }

  /// Whether a message may still be answered. `now` may be a little before `dispatched`: counters of cores differ.
  [[nodiscard]] bool is_past(std::uint64_t now, std::uint64_t dispatched, std::uint32_t deadline_us) const noexcept {
    return static_cast<std::int64_t>(now - dispatched) > static_cast<std::int64_t>(deadline_us * ticks_per_us_);
  }
  /// What is left of `deadline_us`, at least 1.
  [[nodiscard]] std::uint32_t left_us(std::uint64_t now, std::uint64_t dispatched, std::uint32_t deadline_us) const noexcept {
    const auto passed = static_cast<std::int64_t>(now - dispatched);
    if (passed <= 0) return std::max(deadline_us, 1u);
    const std::uint64_t passed_us = static_cast<std::uint64_t>(passed) / ticks_per_us_;
    return passed_us >= deadline_us ? 1 : deadline_us - static_cast<std::uint32_t>(passed_us);
  }

  /// Tests: lets time pass.
  void skip_us(std::uint64_t us) noexcept { skipped_ += ticks_of_us(us); }

 private:
  static std::uint64_t read_counter() noexcept {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    std::uint64_t ticks;
    asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
#error "which counter do the poll cores read here?"
#endif
  }

  dataplane::TickRate rate_;
  std::uint64_t ticks_per_us_;
  std::uint64_t skipped_ = 0;
};

}  // namespace pgrid::worker
