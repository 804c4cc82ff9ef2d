// The stats segment: what the data plane counts, for everybody to read. Written by poll cores (each its own block and
// its own account lines) and by the data plane's helper thread (worker status, gauges). Readers take each word with one
// relaxed load; words are consistent one by one, not together.
//
//   SegmentHeader
//   NodeGauges
//   WorkerStatus[workers]
//   PollCoreStats[poll_cores]
//   RightAccount[poll_cores][rights]
//   StageFigures[poll_cores + workers]     (stages.hpp)
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "abi/shared/counters.hpp"
#include "abi/shared/segment.hpp"

namespace pgrid::abi {

using Word = std::atomic<std::uint64_t>;
static_assert(Word::is_always_lock_free && sizeof(Word) == 8);

/// Adds to a word that only the calling thread writes: a plain load and store, no locked instruction.
inline void bump(Word& word, std::uint64_t n = 1) noexcept {
  word.store(word.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

inline constexpr std::uint32_t kBurst = 32;            // packets taken from a queue at once
inline constexpr std::uint32_t kLatencyBuckets = 160;  // 4 to a power of two: 0 to 2^40 ns

/// Bucket of a latency: exact below 4 ns, then four to a power of two (at most 25 % wide).
constexpr std::uint32_t latency_bucket(std::uint64_t ns) {
  if (ns < 4) return static_cast<std::uint32_t>(ns);
  const auto exponent = static_cast<std::uint32_t>(std::bit_width(ns) - 1);  // at least 2
  const std::uint32_t bucket = (exponent - 1) * 4 + static_cast<std::uint32_t>(ns >> (exponent - 2) & 3);
  return bucket < kLatencyBuckets ? bucket : kLatencyBuckets - 1;
}
/// Smallest latency of a bucket, in ns.
constexpr std::uint64_t latency_bucket_floor(std::uint32_t bucket) {
  if (bucket < 4) return bucket;
  const std::uint32_t exponent = bucket / 4 + 1;
  return (std::uint64_t{4} + bucket % 4) << (exponent - 2);
}
static_assert(latency_bucket(4) == 4 && latency_bucket_floor(4) == 4 && latency_bucket(7) == 7 &&
              latency_bucket(8) == 8 && latency_bucket_floor(8) == 8 && latency_bucket(1000) == 35 &&
              latency_bucket_floor(35) == 896);

struct alignas(64) PollCoreStats {
  Word turns;                             // of the poll loop; see "revoke" in DESIGN section 4
  Word in_flight;                         // entries in use now
  Word idle_turns;                        // turns that found nothing
  Word sleeps;                            // times the core was given back
  Word reserved[4];
  Word counters[(kCounterCount + 7) / 8 * 8];
  Word burst_sizes[40];                   // [n]: receive bursts of n packets, 0 to kBurst
  Word latency[kLatencyBuckets];          // dispatch to collect, in ns, of outcomes from workers
};
static_assert(sizeof(PollCoreStats) % 64 == 0);

enum class WorkerState : std::uint32_t {
  absent = 0,    // not started yet, or gone and not back
  starting = 1,  // attached, loading its processes
  serving = 2,
  lost = 3,      // died; poll cores are answering what it had
};

/// Why a worker's last process was lost.
enum class WorkerLoss : std::uint32_t {
  none = 0,
  ended = 1,     // it exited, was killed, or closed its connection
  nonsense = 2,  // it wrote what no honest worker writes, in a ring or to the socket: killed
  hung = 3,      // it used CPU time without a sign of life: killed
};
constexpr std::string_view name_of(WorkerLoss loss) {
  constexpr std::string_view names[] = {"none", "ended", "nonsense", "hung"};
  const auto i = static_cast<std::uint32_t>(loss);
  return i < 4 ? names[i] : "unknown";
}

struct alignas(64) WorkerStatus {
  std::atomic<std::uint32_t> state;  // WorkerState
  std::atomic<std::uint32_t> pid;
  Word incarnation;                  // 0: never attached
  Word deaths;
  std::atomic<std::uint32_t> processes;  // loaded
  std::atomic<std::uint32_t> loss;       // WorkerLoss, of the last one that died
  Word heartbeat;                    // copied from WorkerLine by the helper thread
  Word handled;
  Word rebuilds;
  Word instances;
};
static_assert(sizeof(WorkerStatus) == 64);

struct alignas(64) NodeGauges {
  Word mbufs_total;
  Word mbufs_in_use;
  Word started_unix_ns;
  Word huge_pages;        // 1: memory is in huge pages
  Word stopping;          // 1: draining
  Word control_attached;  // 1: a control process is connected
  Word plaintext;         // 1: at least one port serves without sessions
  Word reserved;
};
static_assert(sizeof(NodeGauges) == 64);

/// One line per right and poll core: its quota and what became of its messages. Belongs to the generation it names; the
/// poll core clears it when it first sees another.
struct alignas(64) RightAccount {
  std::atomic<std::uint32_t> generation;
  std::atomic<std::uint32_t> in_flight;
  Word tokens_tsc;       // token bucket as one time: see dataplane/token_bucket.hpp
  Word kept;
  Word broken;           // and process_failed
  Word declined;
  Word no_answer;
  Word refused;          // quota, busy, not permitted, too large
  Word over_limit;       // of those: beyond the right's own rate, or its own number in flight
};
static_assert(sizeof(RightAccount) == 64);

constexpr std::size_t gauges_offset() { return sizeof(SegmentHeader); }
constexpr std::size_t worker_status_offset() { return gauges_offset() + sizeof(NodeGauges); }
constexpr std::size_t poll_core_stats_offset(const Geometry& g) {
  return worker_status_offset() + g.workers * sizeof(WorkerStatus);
}
constexpr std::size_t right_account_offset(const Geometry& g) {
  return poll_core_stats_offset(g) + g.poll_cores * sizeof(PollCoreStats);
}
constexpr std::size_t stages_offset(const Geometry& g) {
  return right_account_offset(g) + std::size_t{g.poll_cores} * g.rights * sizeof(RightAccount);
}
constexpr std::size_t stats_size(const Geometry& g) {
  return stages_offset(g) + (g.poll_cores + g.workers) * sizeof(StageFigures);
}

}  // namespace pgrid::abi
