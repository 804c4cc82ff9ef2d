// Round trips counted in buckets: percentiles without keeping every value.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace pgrid::tools {

/// Exact below 128 ns, then 128 buckets to a power of two: a percentile is at most 1 % above the true value. No
/// allocation after construction.
class LatencyHistogram {
 public:
  void add(std::uint64_t ns) {
    ++buckets_[std::min(bucket(ns), kBuckets - 1)];
    ++count_;
    sum_ += ns;
    min_ = std::min(min_, ns);
    max_ = std::max(max_, ns);
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t min() const { return count_ == 0 ? 0 : min_; }
  [[nodiscard]] std::uint64_t max() const { return max_; }
  [[nodiscard]] std::uint64_t mean() const { return count_ == 0 ? 0 : sum_ / count_; }

  /// The smallest value that at least `part` (0 to 1) of all values do not exceed; 0 when there are none.
  [[nodiscard]] std::uint64_t percentile(double part) const {
    const auto wanted = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(part * static_cast<double>(count_))));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i)
      if ((seen += buckets_[i]) >= wanted) return std::min(ceiling(i), max_);
    return max_;
  }

 private:
  static constexpr unsigned kBits = 7;                           // 2^7 = 128 buckets to a power of two
  static constexpr std::size_t kBuckets = (43 - kBits + 1) << kBits;  // up to 2^43 ns, more than two hours

  static std::size_t bucket(std::uint64_t ns) {
    if (ns < (1u << kBits)) return ns;
    const auto shift = static_cast<unsigned>(std::bit_width(ns)) - kBits - 1;
    return ((std::size_t{shift} + 1) << kBits) + ((ns >> shift) & ((1u << kBits) - 1));
  }
  /// Largest value of a bucket.
  static std::uint64_t ceiling(std::size_t i) {
    if (i < (1u << kBits)) return i;
    const auto shift = static_cast<unsigned>(i >> kBits) - 1;
    return ((((std::uint64_t{1} << kBits) | (i & ((1u << kBits) - 1))) + 1) << shift) - 1;
  }

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t min_ = ~0ull;
  std::uint64_t max_ = 0;
};

}  // namespace pgrid::tools
