// What a worker's core is used for: shares of time, found by looking now and then (the worker's ticker, 4,000 times a second while
// guests run), so that serving messages costs nothing for it. Sums of nanoseconds; who wants a rate takes differences.
//
//   worker rings   behind all else: WorkerUse, ProcessUse[processes]                                    the worker's ticker writes
//   stats          behind all else, for each worker: RingUse, WorkerUse, ProcessUse[processes]          the data plane's helper
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "abi/shared/geometry.hpp"

namespace pgrid::abi {

/// Time of one process's activations. Processes come and go; an entry is of the one that it names.
struct ProcessUse {
  std::atomic<std::uint32_t> process;     // index on this node
  std::atomic<std::uint32_t> generation;  // of that process; 0: nobody's entry
  std::atomic<std::uint64_t> active_ns;   // since its worker loaded it, as far as looks can tell
};
static_assert(sizeof(ProcessUse) == 16);
inline constexpr std::uint64_t kLookNs = 250'000;  // between two looks while guests run: the grain of these numbers

struct alignas(64) WorkerUse {
  std::atomic<std::uint64_t> looks;
  std::atomic<std::uint64_t> busy_ns;    // in turns that found something to do, those of guests included
  std::atomic<std::uint64_t> active_ns;  // in activations
  std::atomic<std::uint64_t> reserved[5];
};
static_assert(sizeof(WorkerUse) == 64);

/// How full a worker's rings were, all its poll cores together: sums over the helper's looks, 50 a second.
struct alignas(64) RingUse {
  std::atomic<std::uint64_t> looks;
  std::atomic<std::uint64_t> request_bytes;
  std::atomic<std::uint64_t> reply_bytes;
  std::atomic<std::uint64_t> reserved[5];
};
static_assert(sizeof(RingUse) == 64);

constexpr std::size_t worker_use_size(const Geometry& g) {
  return sizeof(WorkerUse) + round_up_64(g.processes * sizeof(ProcessUse));
}
constexpr std::size_t node_use_size(const Geometry& g) { return g.workers * (sizeof(RingUse) + worker_use_size(g)); }

/// One worker's part of either segment. A plain view; the memory outlives it.
class UseView {
 public:
  UseView(std::byte* memory, const Geometry& g) noexcept : memory_(memory), processes_(g.processes) {}

  [[nodiscard]] WorkerUse& worker() const noexcept { return *reinterpret_cast<WorkerUse*>(memory_); }
  [[nodiscard]] std::uint32_t size() const noexcept { return processes_; }
  /// REQUIRES: i < size().
  [[nodiscard]] ProcessUse& process(std::uint32_t i) const noexcept {
    return reinterpret_cast<ProcessUse*>(memory_ + sizeof(WorkerUse))[i];
  }

 private:
  std::byte* memory_;
  std::uint32_t processes_;
};

}  // namespace pgrid::abi
