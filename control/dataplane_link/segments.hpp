// Control's view of the shared segments: mapped, checked, and read word by word. Everything here was written
// by another process and is taken as such.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "abi/shared/handover.hpp"
#include "abi/shared/segment.hpp"
#include "abi/shared/stats.hpp"
#include "drivers/base/result.hpp"
#include "drivers/base/unique_fd.hpp"
#include "drivers/shm/segment.hpp"

namespace pgrid::control {

using BootId = std::array<std::uint8_t, 16>;

/// What became of the messages through one right.
struct Outcomes {
  std::uint64_t kept = 0;
  std::uint64_t broken = 0;
  std::uint64_t declined = 0;
  std::uint64_t no_answer = 0;
  std::uint64_t refused = 0;
  std::uint64_t over_limit = 0;  // of those: beyond the right's own rate or number in flight
  Outcomes& operator+=(const Outcomes& other);
};

/// The three segments of one start of the data plane. Move-only.
class Segments {
 public:
  /// Maps what came with the Welcome: rights, stats (read-only), control rings. Refuses headers that are not
  /// what the Welcome says.
  [[nodiscard]] static Result<Segments> map(const abi::Welcome& welcome, std::vector<UniqueFd> fds);

  [[nodiscard]] const abi::Geometry& geometry() const { return geometry_; }
  [[nodiscard]] const BootId& boot_id() const { return boot_id_; }

  /// REQUIRES: slot < geometry().rights.
  [[nodiscard]] abi::RightSlot& right_slot(std::uint32_t slot) const;
  [[nodiscard]] const abi::NodeGauges& gauges() const;
  [[nodiscard]] const abi::WorkerStatus& worker(std::uint32_t worker) const;
  [[nodiscard]] const abi::PollCoreStats& poll_core(std::uint32_t poll_core) const;
  /// Summed over poll cores; zero where they have not met that generation.
  [[nodiscard]] Outcomes outcomes(std::uint32_t slot, std::uint32_t generation) const;

  [[nodiscard]] std::byte* request_ring(std::uint32_t poll_core) const;
  [[nodiscard]] std::byte* event_ring(std::uint32_t poll_core) const;

 private:
  abi::Geometry geometry_{};  // the checked copy; those in the segments are not read again
  BootId boot_id_{};
  shm::Segment rights_;
  shm::Segment stats_;
  shm::Segment rings_;
};

}  // namespace pgrid::control
