// How many of everything a node has, and the bounds that every process of it shares. Fixed when the data plane starts;
// it stands in the header of every shared segment and in the welcome message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace pgrid::abi {

inline constexpr std::uint32_t kBodyMax = 1024;          // bytes of a message body, everywhere (DESIGN 3)
inline constexpr std::uint32_t kCarriedRightsMax = 4;    // rights that one message may carry
inline constexpr std::uint32_t kPollCoresMax = 8;
inline constexpr std::uint32_t kWorkersMax = 32;
inline constexpr std::uint32_t kProcessesMax = 65536;    // on one node
inline constexpr std::uint32_t kRightsMax = 1u << 20;    // slots of the right table
inline constexpr std::uint32_t kInFlightMax = 1u << 14;  // entries per poll core; 14 bits of a send-once slot
inline constexpr std::uint32_t kHopsMax = 8;             // functions that a message may pass, one calling the next (DESIGN 5)
inline constexpr std::uint32_t kFirstGrant = 4;          // handle of the first right a process holds: 0 to 3 have fixed meanings
inline constexpr std::uint32_t kGrantsMax = 15;          // rights that control gives one process to hold for as long as it lives
inline constexpr std::uint32_t kFirstCarried = kFirstGrant + kGrantsMax;  // rights that came with messages, until the instance ends
inline constexpr std::uint32_t kHandlesMax = 64;         // handles of one process, 0 to 63: a bit for each in one word
inline constexpr std::uint32_t kRecordHeader = 64;       // bytes of every ring record before its body
inline constexpr std::uint32_t kRecordMax = kRecordHeader + kBodyMax;  // 1,088, a multiple of 64
static_assert(kRecordMax % 64 == 0);

/// Fixed-width, no padding, part of shared layouts.
struct Geometry {
  std::uint32_t poll_cores;       // 1 to kPollCoresMax
  std::uint32_t workers;          // 1 to kWorkersMax
  std::uint32_t rights;           // slots of the right table, a power of two, at most kRightsMax
  std::uint32_t in_flight;        // entries per poll core, a power of two, at most kInFlightMax
  std::uint32_t request_ring;     // bytes of each request ring, a power of two
  std::uint32_t reply_ring;       // bytes of each reply ring, a power of two
  std::uint32_t control_ring;     // bytes of each ring between a poll core and control, each way, a power of two
  std::uint32_t processes;        // per worker
};
static_assert(sizeof(Geometry) == 32 && std::is_trivially_copyable_v<Geometry>);

/// The poll core that routes what the functions of a worker send (DESIGN section 2).
constexpr std::uint32_t home_core(std::uint32_t worker, const Geometry& g) { return worker % g.poll_cores; }

constexpr bool is_grant(std::uint32_t handle) { return handle >= kFirstGrant && handle < kFirstCarried; }
/// Whether a handle can stand for a right to somebody else.
constexpr bool is_held_handle(std::uint32_t handle) { return handle >= kFirstGrant && handle < kHandlesMax; }

/// A right as the node's own processes name it to each other: no key, because rings lie between those who may say it.
struct RightRef {
  std::uint32_t slot;
  std::uint32_t generation;
  bool operator==(const RightRef&) const = default;
};
static_assert(sizeof(RightRef) == 8);
/// Bytes of a record between control and poll cores: the longest body, and the rights before it.
inline constexpr std::uint32_t kControlRecordMax = kRecordMax + kCarriedRightsMax * sizeof(RightRef);
static_assert(kControlRecordMax == 1120);

constexpr bool is_power_of_two(std::uint32_t n) { return n != 0 && (n & (n - 1)) == 0; }

/// Whether every count is within its bound: checked by whoever maps a segment, before any of it is used.
constexpr bool is_valid(const Geometry& g) {
  const auto ring_ok = [](std::uint32_t bytes) {
    return is_power_of_two(bytes) && bytes >= 4 * kRecordMax && bytes <= (64u << 20);
  };
  return g.poll_cores >= 1 && g.poll_cores <= kPollCoresMax && g.workers >= 1 && g.workers <= kWorkersMax &&
         is_power_of_two(g.rights) && g.rights <= kRightsMax && is_power_of_two(g.in_flight) &&
         g.in_flight <= kInFlightMax && ring_ok(g.request_ring) && ring_ok(g.reply_ring) &&
         ring_ok(g.control_ring) && g.processes >= 1 && g.processes <= 4096;
}

constexpr std::size_t round_up_64(std::size_t n) { return (n + 63) & ~std::size_t{63}; }

}  // namespace pgrid::abi
