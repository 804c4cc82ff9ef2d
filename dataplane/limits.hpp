// Every bound of the data plane, with its arithmetic. Memory is allocated at start and never after.
#pragma once

#include <bit>
#include <cstdint>

#include "abi/shared/geometry.hpp"
#include "abi/shared/segment.hpp"
#include "abi/shared/stats.hpp"

namespace pgrid::dataplane {

inline constexpr std::uint32_t kPortsMax = 8;

// ---- queues of a port
inline constexpr std::uint16_t kRxDescriptors =
    1024;  // 100 us of 64-byte frames at 10 M/s: longer than any turn
inline constexpr std::uint16_t kTxDescriptors = 1024;
/// Answers that wait while a port takes no more, per port and poll core: eight bursts.
inline constexpr std::uint32_t kTxBacklog = 8 * abi::kBurst;

// ---- work per turn: nothing may keep a poll core from its other duties
/// Taken from a queue in one turn: reading the clock and the lines that workers and helper thread write costs as much for
/// one burst as for four.
inline constexpr std::uint32_t kBurstsPerTurn = 4;
inline constexpr std::uint32_t kRepliesPerTurn =
    kBurstsPerTurn * abi::kBurst;  // per worker: what so many requests bring back
/// Received at once, from which on their records go past the cache (abi/shared/stream.hpp).
inline constexpr std::uint32_t kStreamedFrom = 8;
inline constexpr std::uint32_t kControlPerTurn = abi::kBurst;  // requests of control
inline constexpr std::uint32_t kSettledPerTurn =
    2 * abi::kBurst;  // answers for what a dead worker had: 4,096 in 64 turns
static_assert(kSettledPerTurn <= kTxBacklog && kRepliesPerTurn <= kTxBacklog);

// ---- rings
/// 1 MiB, small enough for a core's share of the cache: 963 of the largest requests, 8,192 with bodies of up to 64 bytes.
/// On a worker's home poll core three quarters of that; the fourth is for what comes of its functions' own requests, of
/// which 119 may wait (abi/shared/segment.hpp).
inline constexpr std::uint32_t kRequestRing = 1u << 20;
/// 4 MiB of replies, three quarters for answers: 2,890 requests may be in flight on one worker
/// (abi/shared/segment.hpp). Where a poll core has fewer entries than that for all its
/// workers, a smaller ring does.
constexpr std::uint32_t reply_ring(std::uint32_t in_flight) {
  const std::uint32_t needed = (in_flight + 1) * abi::kRecordMax / 3 * 4;  // answer part: three quarters
  const std::uint32_t fits = std::bit_ceil(needed);
  return fits < (4u << 20) ? (fits < 8 * abi::kRecordMax ? std::bit_ceil(8 * abi::kRecordMax) : fits)
                           : 4u << 20;
}
/// Each way: 240 of the largest records. `pgrid invoke` and log lines, not the data path.
inline constexpr std::uint32_t kControlRing = 1u << 18;

constexpr abi::Geometry make_geometry(std::uint32_t poll_cores, std::uint32_t workers, std::uint32_t rights,
                                      std::uint32_t in_flight, std::uint32_t processes_per_worker) {
  return {.poll_cores = poll_cores,
          .workers = workers,
          .rights = rights,
          .in_flight = in_flight,
          .request_ring = kRequestRing,
          .reply_ring = reply_ring(in_flight),
          .control_ring = kControlRing,
          .processes = processes_per_worker};
}
static_assert(abi::is_valid(make_geometry(1, 1, 65536, 4096, 256)));
static_assert(abi::is_valid(make_geometry(8, 32, 2, 1, 1)));
static_assert(abi::worker_in_flight_max(make_geometry(1, 1, 65536, 4096, 256)) == 2890);
static_assert(abi::guest_requests_max(make_geometry(1, 1, 65536, 4096, 256)) == 119);

// ---- mbufs
inline constexpr std::uint32_t kMempoolCache = 256;  // per lcore
/// What a mempool's cache of one lcore can hold back: 1.5 times its size (rte_mempool flushes at that mark).
inline constexpr std::uint32_t kCacheHeld = kMempoolCache + kMempoolCache / 2;

/// Mbufs that receiving uses. An ARP, NDP or echo request becomes its own answer, so
/// these also wait for sending. `held_by_drivers`: what some kinds of port keep for themselves
/// (dpdk::mbufs_held_by_driver: fill and completion rings of af_xdp, the file of an infinite pcap).
constexpr std::uint32_t rx_mbufs(std::uint32_t ports, std::uint32_t poll_cores,
                                 std::uint32_t held_by_drivers = 0) {
  std::uint32_t sum = held_by_drivers;
  sum += ports * poll_cores * kRxDescriptors;                 // the driver's rings are always full
  sum += ports * poll_cores * abi::kBurst;                    // in a poll core's hands
  sum += poll_cores * kBurstsPerTurn * abi::kBurst;           // kept there for answers (dpdk::PacketStash)
  sum += ports * poll_cores * (kTxDescriptors + kTxBacklog);  // answers in such mbufs, not sent yet
  sum += (poll_cores + 1) * kCacheHeld;                       // caches: poll cores and the main lcore
  return sum;
}

/// Mbufs of answers: the reserve that receiving cannot drain.
constexpr std::uint32_t answer_mbufs(std::uint32_t ports, std::uint32_t poll_cores) {
  std::uint32_t sum = 0;
  sum += ports * poll_cores * kTxDescriptors;  // given to the driver, not sent yet
  sum += ports * poll_cores * kTxBacklog;      // waiting for the driver
  sum += (poll_cores + 1) * kCacheHeld;
  return sum;
}

// ---- time
inline constexpr std::uint32_t kDrainMaxUs = 2'000'000;  // how long SIGTERM waits for what is in flight

}  // namespace pgrid::dataplane
