// Time on a poll core: TSC ticks, read once per turn, and their conversion to what people
// and other processes use.
#pragma once

#include <cstdint>

namespace pgrid::dataplane {

__extension__ using Uint128 = unsigned __int128;  // one `mul` on 64-bit machines

/// Converts by fixed-point factors: no division after start. Constant after
/// construction, shared by all threads.
class TickRate {
 public:
  explicit TickRate(std::uint64_t tsc_hz) noexcept
      : hz_(tsc_hz),
        ticks_per_us_(static_cast<std::uint64_t>((Uint128{tsc_hz} << kShift) / 1'000'000)),
        ns_per_tick_(static_cast<std::uint64_t>((Uint128{1'000'000'000} << kShift) / tsc_hz)) {}

  [[nodiscard]] std::uint64_t hz() const noexcept { return hz_; }
  [[nodiscard]] std::uint64_t ticks_of_us(std::uint64_t us) const noexcept {
    return static_cast<std::uint64_t>((Uint128{us} * ticks_per_us_) >> kShift);
  }
  [[nodiscard]] std::uint64_t ns_of_ticks(std::uint64_t ticks) const noexcept {
    return static_cast<std::uint64_t>((Uint128{ticks} * ns_per_tick_) >> kShift);
  }

 private:
  static constexpr unsigned kShift = 32;  // relative error below 2^-30 for clocks of 1 GHz and more
  std::uint64_t hz_;
  std::uint64_t ticks_per_us_;
  std::uint64_t ns_per_tick_;
};

}  // namespace pgrid::dataplane
