// The segment of a worker's rings, mapped and checked.
#pragma once

#include "abi/shared/handover.hpp"
#include "abi/shared/segment.hpp"
#include "drivers/base/result.hpp"
#include "drivers/base/unique_fd.hpp"
#include "drivers/shm/segment.hpp"

namespace pgrid::worker {

/// Maps what came with Welcome. Its header must say what Welcome said, and its size hold what its geometry says.
[[nodiscard]] inline Result<shm::Segment> map_rings(UniqueFd fd, const abi::Welcome& welcome) {
  const auto wrong = [](std::string cause) {
    return fail(Errc::protocol, "map the worker's rings", std::move(cause),
                "data plane and worker must be of one build: install both");
  };
  if (!abi::is_valid(welcome.geometry)) return wrong("the geometry is out of bounds");
  if (welcome.sizes[0] < abi::worker_rings_size(welcome.geometry)) return wrong("the segment is too small");
  auto segment = shm::Segment::map(std::move(fd), welcome.sizes[0], shm::Segment::Access::read_write);
  if (!segment) return segment;
  abi::SegmentHeader header;
  if (!abi::read_segment_header(segment->data(), segment->size(), abi::SegmentKind::worker_rings, header))
    return wrong("it is not a segment of worker rings, or of another version");
  if (std::memcmp(&header.geometry, &welcome.geometry, sizeof header.geometry) != 0)
    return wrong("its geometry is not the one announced");
  return segment;
}

}  // namespace pgrid::worker
