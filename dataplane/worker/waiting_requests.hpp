// How many requests of guests wait for what comes of them: bounded, so that it always finds room on its way back.
#pragma once

#include <cstdint>
#include <vector>

#include "abi/shared/geometry.hpp"
#include "abi/shared/segment.hpp"

namespace pgrid::worker {

/// A request counts from its sending until the process has read what came of it, or that was dropped; whatever becomes
/// of the process meanwhile. So neither request rings (abi::request_ring_answer_part) nor the message pool run out.
/// Owned by the worker thread.
class WaitingRequests {
 public:
  explicit WaitingRequests(const abi::Geometry& geometry)
      : max_(abi::guest_requests_max(geometry)), process_max_(max_ - max_ / 4), of_(abi::kProcessesMax) {}

  [[nodiscard]] bool is_room(std::uint32_t process) const noexcept {
    return total_ < max_ && of_[process] < process_max_;
  }
  void add(std::uint32_t process) noexcept {
    ++total_;
    ++of_[process];
  }
  /// Nothing happens for a process that has none waiting: what a poll core says is not what this count rests on.
  void remove(std::uint32_t process) noexcept {
    if (process >= of_.size() || of_[process] == 0) return;
    --of_[process];
    --total_;
  }
  [[nodiscard]] std::uint32_t total() const noexcept { return total_; }
  [[nodiscard]] std::uint32_t of(std::uint32_t process) const noexcept { return of_[process]; }
  [[nodiscard]] std::uint32_t process_max() const noexcept { return process_max_; }

 private:
  std::uint32_t max_;
  std::uint32_t process_max_;  // three quarters (89 of 119): one process leaves room for others
  std::uint32_t total_ = 0;
  std::vector<std::uint16_t> of_;  // by process index on this node; guest_requests_max is at most 15,419
};
static_assert(abi::guest_requests_max({.request_ring = 64u << 20}) < 65536);

}  // namespace pgrid::worker
