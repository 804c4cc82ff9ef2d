// Looks once a second at what poll cores refused because a right's own rate, or its number in flight, was used up.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>

#include "control/dataplane_link/segments.hpp"
#include "control/event_loop.hpp"
#include "control/store/state.hpp"

namespace pgrid::control {

/// Walks the rights a slice at a time, so that it never holds up the loop. The first walk after `begin` only learns what there
/// is. Owned by control's one thread.
class OverLimits {
 public:
  using GetSegments = std::function<const Segments*()>;
  /// So many more messages since the walk before.
  using OnMore = std::function<void(const RightRecord&, std::uint64_t messages)>;
  OverLimits(EventLoop& loop, const State& state, GetSegments segments, OnMore on_more)
      : loop_(loop), state_(state), segments_(std::move(segments)), on_more_(std::move(on_more)) {}

  void begin();
  void end();

 private:
  struct Seen {
    std::uint32_t generation = 0;
    std::uint64_t messages = 0;
  };
  void look_later(bool in_walk);
  void look();

  EventLoop& loop_;
  const State& state_;
  GetSegments segments_;
  OnMore on_more_;
  std::unordered_map<std::uint32_t, Seen> seen_;  // by slot: those that had any
  std::uint32_t next_slot_ = 0;
  bool learning_ = true;
  Pending timer_;
};

}  // namespace pgrid::control
