// Dead-name notices: functions that asked are told when a right dies. What they asked for is in the store, so
// that neither a restart of control nor a data plane that is away for a while loses it.
#pragma once

#include <cstdint>
#include <functional>

#include "control/capability/rights.hpp"

namespace pgrid::control {

inline constexpr std::size_t kWatchesMax = 256;  // of one process

/// Owned by control's one thread.
class Watches {
 public:
  /// Tells an instance. False: it cannot be told now.
  using Tell = std::function<bool(const WatchRecord&, Why)>;
  using OnDone = std::function<void(Result<void>)>;

  Watches(Store& store, Rights& rights, Tell tell) : store_(store), rights_(rights), tell_(std::move(tell)) {}

  /// out_of_resources: the process has as many as it may have. not_found: the right is dead.
  void add(const Maker& who, const abi::RightRef& right, std::uint64_t number, OnDone done);

  void on_dead(const RightRecord& right, Why why) { settle({right.slot, right.generation}, why); }
  /// Whoever watches a right to this process.
  void on_gave_up(const ProcessRecord& process);
  /// The data plane is there again: tells what could not be told.
  void on_attached();

 private:
  void settle(const abi::RightRef& right, Why why);

  Store& store_;
  Rights& rights_;
  Tell tell_;
};

}  // namespace pgrid::control
