// What the rest of the process tells poll cores: words they read once per turn. No lock, no queue.
#pragma once

#include <atomic>
#include <cstdint>

namespace pgrid::dataplane {

enum class Phase : std::uint32_t {
  serving = 0,
  draining = 1,  // new work is refused as busy; what is in flight may still be answered
  stopping = 2,  // what is in flight is answered process_failed, then the poll core returns
};

struct NodeSignals {
  /// CLOCK_REALTIME minus the time since TSC 0, both in ns: added to ns_of_ticks(tsc) it is Unix
  /// time. Renewed by the helper thread, so that steps and drift of the wall clock reach the expiry
  /// of rights within a second.
  alignas(64) std::atomic<std::int64_t> unix_offset_ns{0};
  std::atomic<Phase> phase{Phase::serving};  // written by the main thread, only ever raised
};

}  // namespace pgrid::dataplane
