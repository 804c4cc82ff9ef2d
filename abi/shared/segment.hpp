// The first 128 bytes of every shared segment, and where things lie behind them.
//
//   right table       SegmentHeader, RightSlot[rights]                               control writes, data plane reads
//   stats             SegmentHeader, see stats.hpp                                   data plane writes, others read
//   worker rings      SegmentHeader, WorkerLine, then for each poll core:            data plane and one worker
//                       request ring, reply ring;
//                       then StageFigures                                          the worker writes
//   control rings     SegmentHeader, then for each poll core:                        data plane and control
//                       request ring (control produces), event ring (poll core produces)
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "abi/shared/byte_ring.hpp"
#include "abi/shared/geometry.hpp"
#include "abi/shared/right_table.hpp"
#include "abi/shared/stages.hpp"

namespace pgrid::abi {

inline constexpr std::uint64_t kSegmentMagic = 0x6469'7247'6d6f'7250;  // "PromGrid"
inline constexpr std::uint32_t kSharedVersion = 4;  // of all layouts in abi/shared; raised with any change to one

enum class SegmentKind : std::uint32_t { rights = 1, stats = 2, worker_rings = 3, control_rings = 4 };

struct alignas(64) SegmentHeader {
  std::uint64_t magic;
  std::uint32_t version;
  SegmentKind kind;
  std::uint64_t size;         // bytes of the whole segment
  std::uint8_t boot_id[16];   // random at every start of the data plane
  Geometry geometry;
  std::uint64_t tsc_hz;       // of the poll cores' clock
  std::uint8_t reserved[48];
};
static_assert(sizeof(SegmentHeader) == 128);

/// Whether `memory` is a segment of this kind and of this layout, large enough for what its geometry says. Checked once,
/// on mapping, over a copy of the header; the geometry to use is the copy's.
constexpr std::size_t rights_size(const Geometry& g) {
  return sizeof(SegmentHeader) + std::size_t{g.rights} * sizeof(RightSlot);
}

/// A worker's own line: what it tells the data plane without a message.
struct alignas(64) WorkerLine {
  std::atomic<std::uint64_t> heartbeat;   // rises with every activation, once a tick within it, at a rebuild and at an idle turn
  std::atomic<std::uint64_t> handled;     // messages handed to guests
  std::atomic<std::uint64_t> rebuilds;    // instances rebuilt after a trap or limit
  std::atomic<std::uint64_t> instances;   // alive now
  std::atomic<std::uint64_t> notices_lost;  // from control, because a mailbox was full or their instance had ended
  std::uint8_t reserved[24];
};
static_assert(sizeof(WorkerLine) == 64);

constexpr std::size_t worker_ring_pair(const Geometry& g) {
  return ring_bytes(g.request_ring) + ring_bytes(g.reply_ring);
}
constexpr std::size_t worker_stages_offset(const Geometry& g) {
  return sizeof(SegmentHeader) + sizeof(WorkerLine) + g.poll_cores * worker_ring_pair(g);
}
constexpr std::size_t worker_rings_size(const Geometry& g) { return worker_stages_offset(g) + sizeof(StageFigures); }
constexpr std::size_t request_ring_offset(const Geometry& g, std::uint32_t poll_core) {
  return sizeof(SegmentHeader) + sizeof(WorkerLine) + poll_core * worker_ring_pair(g);
}
constexpr std::size_t reply_ring_offset(const Geometry& g, std::uint32_t poll_core) {
  return request_ring_offset(g, poll_core) + ring_bytes(g.request_ring);
}
/// Bytes of a reply ring that only answers may use; other sends see the ring as full when less than this is free. An
/// answer for every message that may be in flight on one worker fits (kRecordMax each), plus one pad.
constexpr std::uint32_t reply_ring_answer_part(const Geometry& g) { return g.reply_ring / 4 * 3; }
/// Messages that one poll core may have in flight on one worker, so that their answers fit.
constexpr std::uint32_t worker_in_flight_max(const Geometry& g) {
  return (reply_ring_answer_part(g) - kRecordMax) / kRecordMax;
}

/// Bytes of a request ring that requests leave free: what comes of the requests that the worker's functions sent always
/// fits. A worker has no more of those waiting than guest_requests_max, all by way of its home poll core. Two records for
/// each: a worker gives a ring's space back at the end of its turn, so what came of the last requests may still lie there
/// while functions that have read it ask again and are answered. And one pad.
constexpr std::uint32_t request_ring_answer_part(const Geometry& g) { return g.request_ring / 4; }
constexpr std::uint32_t guest_requests_max(const Geometry& g) {
  return request_ring_answer_part(g) < kRecordMax ? 0 : (request_ring_answer_part(g) - kRecordMax) / (2 * kRecordMax);
}

constexpr std::size_t control_rings_size(const Geometry& g) {
  return sizeof(SegmentHeader) + g.poll_cores * 2 * ring_bytes(g.control_ring);
}
constexpr std::size_t control_request_ring_offset(const Geometry& g, std::uint32_t poll_core) {
  return sizeof(SegmentHeader) + poll_core * 2 * ring_bytes(g.control_ring);
}
constexpr std::size_t control_event_ring_offset(const Geometry& g, std::uint32_t poll_core) {
  return control_request_ring_offset(g, poll_core) + ring_bytes(g.control_ring);
}

/// Copies and checks a header that another process wrote. False: not a segment of this kind and version.
[[nodiscard]] inline bool read_segment_header(const std::byte* memory, std::size_t size, SegmentKind kind,
                                              SegmentHeader& header) noexcept {
  if (size < sizeof header) return false;
  std::memcpy(static_cast<void*>(&header), memory, sizeof header);
  return header.magic == kSegmentMagic && header.version == kSharedVersion && header.kind == kind &&
         header.size <= size && is_valid(header.geometry);
}

}  // namespace pgrid::abi
