// Waits until every poll core has begun two turns more: then none of them works with what the right table
// said before. (One turn may have read the old line just before the change; the second cannot.)
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "control/dataplane_link/link.hpp"
#include "control/event_loop.hpp"

namespace pgrid::control {

enum class Passed {
  now,         // every poll core has passed the change
  at_restart,  // the data plane is away: it starts with an empty table, or is compared with the store at
               // reconnection
  stuck,       // a poll core does not turn
};

/// Owned by control's one thread.
class TurnBarrier {
 public:
  TurnBarrier(EventLoop& loop, DataplaneLink& link) : loop_(loop), link_(link) {}
  /// Calls `done` once. At once while the data plane is away.
  void wait(std::function<void(Passed)> done);

 private:
  struct Wait {
    std::function<void(Passed)> done;
    std::vector<std::uint64_t> turns;  // per poll core, when the wait began
    std::uint64_t attachment = 0;
    std::chrono::steady_clock::time_point end;
    Pending timer;
  };
  void look(std::uint64_t number);

  EventLoop& loop_;
  DataplaneLink& link_;
  std::map<std::uint64_t, Wait> waits_;
  std::uint64_t next_ = 0;
};

}  // namespace pgrid::control
