// Finds the parts of the stats segment. Every part has one writer: see abi/shared/stats.hpp.
#pragma once

#include <cstddef>
#include <span>

#include "abi/shared/stats.hpp"

namespace pgrid::dataplane {

/// Plain view of a mapped stats segment of this process; the segment outlives it.
class StatsSegment {
 public:
  StatsSegment(std::byte* memory, const abi::Geometry& geometry) noexcept
      : memory_(memory), geometry_(geometry) {}

  [[nodiscard]] abi::NodeGauges& gauges() const noexcept { return at<abi::NodeGauges>(abi::gauges_offset()); }
  [[nodiscard]] abi::WorkerStatus& worker(std::uint32_t index) const noexcept {
    return at<abi::WorkerStatus>(abi::worker_status_offset() + index * sizeof(abi::WorkerStatus));
  }
  [[nodiscard]] abi::PollCoreStats& poll_core(std::uint32_t index) const noexcept {
    return at<abi::PollCoreStats>(abi::poll_core_stats_offset(geometry_) +
                                  index * sizeof(abi::PollCoreStats));
  }
  [[nodiscard]] std::span<abi::RightAccount> accounts(std::uint32_t poll_core) const noexcept {
    const std::size_t table = std::size_t{geometry_.rights} * sizeof(abi::RightAccount);
    return {&at<abi::RightAccount>(abi::right_account_offset(geometry_) + poll_core * table),
            geometry_.rights};
  }
  [[nodiscard]] abi::StageFigures& poll_stages(std::uint32_t poll_core) const noexcept {
    return at<abi::StageFigures>(abi::stages_offset(geometry_) + poll_core * sizeof(abi::StageFigures));
  }
  [[nodiscard]] abi::StageFigures& worker_stages(std::uint32_t worker) const noexcept {
    return poll_stages(geometry_.poll_cores + worker);
  }
  /// Of the segment's header.
  [[nodiscard]] std::uint64_t tsc_hz() const noexcept { return at<const abi::SegmentHeader>(0).tsc_hz; }
  [[nodiscard]] const abi::Geometry& geometry() const noexcept { return geometry_; }

 private:
  template <typename T>
  [[nodiscard]] T& at(std::size_t offset) const noexcept {
    return *reinterpret_cast<T*>(memory_ + offset);
  }
  std::byte* memory_;
  abi::Geometry geometry_;
};

/// Adds to a counter of the calling poll core.
inline void count(abi::PollCoreStats& stats, abi::Counter counter, std::uint64_t n = 1) noexcept {
  abi::bump(stats.counters[static_cast<std::size_t>(counter)], n);
}

}  // namespace pgrid::dataplane
