// Rights whose time passes: poll cores refuse them by themselves; control gives their slots back and tells
// who asked.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <utility>

#include "control/capability/rights.hpp"
#include "control/event_loop.hpp"

namespace pgrid::control {

/// Owned by control's one thread. A right that people hold keeps its slot, so that they see what became of
/// it; those of functions and of tokens are gone.
class Expiry {
 public:
  using OnExpired = std::function<void(const RightRecord&)>;

  Expiry(EventLoop& loop, Store& store, Rights& rights, OnExpired on_expired)
      : loop_(loop), store_(store), rights_(rights), on_expired_(std::move(on_expired)) {}

  /// Takes up all rights of the store.
  void begin();
  /// A right was made or narrowed.
  void follow(const RightRecord& right);

 private:
  void look();
  void arm();

  EventLoop& loop_;
  Store& store_;
  Rights& rights_;
  OnExpired on_expired_;
  std::set<std::pair<std::uint64_t, std::uint32_t>>
      ends_;  // Unix nanoseconds, slot; what is stale is found out when it is due
  Pending timer_;
};

}  // namespace pgrid::control
