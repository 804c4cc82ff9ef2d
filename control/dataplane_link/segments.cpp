#include "control/dataplane_link/segments.hpp"

#include <cstring>

#include "drivers/base/check.hpp"

namespace pgrid::control {
namespace {

Result<shm::Segment> map_one(UniqueFd fd, std::uint64_t size, std::size_t size_needed, abi::SegmentKind kind,
                             shm::Segment::Access access, const abi::Welcome& welcome) {
  const std::string operation =
      "map the data plane's segment " + std::to_string(static_cast<std::uint32_t>(kind));
  if (size < size_needed)
    return fail(Errc::protocol, operation,
                std::to_string(size) + " bytes, but its layout needs " + std::to_string(size_needed));
  Result<shm::Segment> segment = shm::Segment::map(std::move(fd), size, access);
  if (!segment) return segment;
  abi::SegmentHeader header{};
  if (!abi::read_segment_header(segment->data(), segment->size(), kind, header) ||
      std::memcmp(&header.geometry, &welcome.geometry, sizeof header.geometry) != 0 ||
      std::memcmp(header.boot_id, welcome.boot_id, sizeof header.boot_id) != 0)
    return fail(Errc::protocol, operation, "its header is not what the data plane announced",
                "run control and data plane of the same version");
  return segment;
}

template <typename T>
T& at(const shm::Segment& segment, std::size_t offset) {
  PG_CHECK(offset + sizeof(T) <= segment.size());
  return *reinterpret_cast<T*>(segment.data() + offset);
}

std::uint64_t read(const abi::Word& word) { return word.load(std::memory_order_relaxed); }

}  // namespace

Outcomes& Outcomes::operator+=(const Outcomes& other) {
  kept += other.kept;
  broken += other.broken;
  declined += other.declined;
  no_answer += other.no_answer;
  refused += other.refused;
  over_limit += other.over_limit;
  return *this;
}

Result<Segments> Segments::map(const abi::Welcome& welcome, std::vector<UniqueFd> fds) {
  if (!abi::is_valid(welcome.geometry) || welcome.segments != 3 || fds.size() != 3)
    return fail(Errc::protocol, "attach to the data plane", "its welcome makes no sense",
                "run control and data plane of the same version");
  Segments segments;
  segments.geometry_ = welcome.geometry;
  std::memcpy(segments.boot_id_.data(), welcome.boot_id, segments.boot_id_.size());
  const abi::Geometry& g = segments.geometry_;
  using Access = shm::Segment::Access;
  auto rights = map_one(std::move(fds[0]), welcome.sizes[0], abi::rights_size(g), abi::SegmentKind::rights,
                        Access::read_write, welcome);
  if (!rights) return std::unexpected(rights.error());
  auto stats = map_one(std::move(fds[1]), welcome.sizes[1], abi::stats_size(g), abi::SegmentKind::stats,
                       Access::read_only, welcome);
  if (!stats) return std::unexpected(stats.error());
  auto rings = map_one(std::move(fds[2]), welcome.sizes[2], abi::control_rings_size(g),
                       abi::SegmentKind::control_rings, Access::read_write, welcome);
  if (!rings) return std::unexpected(rings.error());
  segments.rights_ = std::move(*rights);
  segments.stats_ = std::move(*stats);
  segments.rings_ = std::move(*rings);
  return segments;
}

abi::RightSlot& Segments::right_slot(std::uint32_t slot) const {
  PG_CHECK(slot < geometry_.rights);
  return at<abi::RightSlot>(rights_, sizeof(abi::SegmentHeader) + std::size_t{slot} * sizeof(abi::RightSlot));
}

const abi::NodeGauges& Segments::gauges() const {
  return at<const abi::NodeGauges>(stats_, abi::gauges_offset());
}

const abi::WorkerStatus& Segments::worker(std::uint32_t worker) const {
  PG_CHECK(worker < geometry_.workers);
  return at<const abi::WorkerStatus>(stats_,
                                     abi::worker_status_offset() + worker * sizeof(abi::WorkerStatus));
}

const abi::PollCoreStats& Segments::poll_core(std::uint32_t poll_core) const {
  PG_CHECK(poll_core < geometry_.poll_cores);
  return at<const abi::PollCoreStats>(
      stats_, abi::poll_core_stats_offset(geometry_) + poll_core * sizeof(abi::PollCoreStats));
}

Outcomes Segments::outcomes(std::uint32_t slot, std::uint32_t generation) const {
  Outcomes sum;
  if (slot >= geometry_.rights) return sum;
  for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core) {
    const std::size_t line = std::size_t{core} * geometry_.rights + slot;
    const auto& account = at<const abi::RightAccount>(
        stats_, abi::right_account_offset(geometry_) + line * sizeof(abi::RightAccount));
    if (account.generation.load(std::memory_order_relaxed) != generation) continue;
    sum += {read(account.kept), read(account.broken), read(account.declined), read(account.no_answer),
            read(account.refused), read(account.over_limit)};
  }
  return sum;
}

std::byte* Segments::request_ring(std::uint32_t poll_core) const {
  PG_CHECK(poll_core < geometry_.poll_cores);
  return rings_.data() + abi::control_request_ring_offset(geometry_, poll_core);
}

std::byte* Segments::event_ring(std::uint32_t poll_core) const {
  PG_CHECK(poll_core < geometry_.poll_cores);
  return rings_.data() + abi::control_event_ring_offset(geometry_, poll_core);
}

}  // namespace pgrid::control
