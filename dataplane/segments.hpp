// Creates the shared segments of this node: sized, zero, with a header that tells whoever
// maps them what they are.
#pragma once

#include <array>
#include <cstring>
#include <new>
#include <string>

#include "abi/shared/segment.hpp"
#include "dataplane/link_cell.hpp"
#include "drivers/shm/segment.hpp"

namespace pgrid::dataplane {

/// What all segments of one run of the data plane have in common.
struct SegmentPlan {
  abi::Geometry geometry{};
  std::array<std::uint8_t, 16> boot_id{};
  std::uint64_t tsc_hz = 0;
  bool huge_pages = false;
};

[[nodiscard]] inline Result<shm::Segment> create_segment(const SegmentPlan& plan, abi::SegmentKind kind,
                                                         const std::string& name, std::size_t size) {
  auto segment = shm::Segment::create(name, size, plan.huge_pages);
  if (!segment) return segment;
  auto* header = new (segment->data()) abi::SegmentHeader{};
  header->magic = abi::kSegmentMagic;
  header->version = abi::kSharedVersion;
  header->kind = kind;
  header->size = size;
  header->geometry = plan.geometry;
  header->tsc_hz = plan.tsc_hz;
  std::memcpy(header->boot_id, plan.boot_id.data(), plan.boot_id.size());
  return segment;
}

/// The ring pair of one poll core within a worker's segment.
[[nodiscard]] inline LinkRings worker_rings(const shm::Segment& segment, const abi::Geometry& geometry,
                                            std::uint32_t poll_core, std::uint32_t incarnation) noexcept {
  return {segment.data() + abi::request_ring_offset(geometry, poll_core),
          segment.data() + abi::reply_ring_offset(geometry, poll_core), geometry.request_ring,
          geometry.reply_ring, incarnation};
}

/// The ring pair of one poll core within control's segment: events go to control, requests come from it.
[[nodiscard]] inline LinkRings control_rings(const shm::Segment& segment, const abi::Geometry& geometry,
                                             std::uint32_t poll_core, std::uint32_t incarnation) noexcept {
  return {segment.data() + abi::control_event_ring_offset(geometry, poll_core),
          segment.data() + abi::control_request_ring_offset(geometry, poll_core), geometry.control_ring,
          geometry.control_ring, incarnation};
}

}  // namespace pgrid::dataplane
