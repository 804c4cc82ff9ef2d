// What becomes of instances while they run, as workers and the data plane tell it: restarts, back-off, giving up, violations.
// Remembers it, writes it to the log, restarts the rest of a group, and tells listeners.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "abi/shared/handover.hpp"
#include "control/dataplane_link/link.hpp"
#include "control/event_loop.hpp"
#include "control/log/log_book.hpp"
#include "control/process/groups.hpp"
#include "control/process/happenings.hpp"
#include "control/process/listener.hpp"
#include "control/process/over_limits.hpp"
#include "control/process/restarts.hpp"
#include "control/process/violations.hpp"
#include "control/store/store.hpp"

namespace pgrid::control {

/// Owned by control's one thread.
class Supervision {
 public:
  Supervision(EventLoop& loop, Store& store, DataplaneLink& link, LogBook& logs);

  /// `listener` outlives this.
  void listen(ProcessListener& listener) { listeners_.push_back(&listener); }

  [[nodiscard]] const RestartBook& restarts() const { return restarts_; }
  [[nodiscard]] const ViolationBook& violations() const { return violations_; }

  /// An instance_event of one of our processes, from its own worker.
  void on_event(const ProcessRecord& process, const abi::ControlEvent& event, const std::string& text);
  /// The data plane says that a process gave up, or that it serves.
  void on_gave_up(const ProcessRecord& process, const std::string& why);
  void on_serves(const ProcessRecord& process);
  /// Somebody restarted it, and its new instance serves.
  void on_restarted(const ProcessRecord& process, bool had_given_up);
  /// All instances of a worker are gone, and what it counted.
  void on_worker_gone(std::uint32_t worker);
  /// `is_another`: not the data plane that control was attached to before.
  void on_attached(bool is_another);
  void on_lost();
  void on_removed(std::uint32_t process);

  /// Asks the data plane to restart it. What comes of that it tells as ProcessState.
  void send_restart(const ProcessRecord& process);

 private:
  void tell_instance(const ProcessRecord& process, std::uint32_t instance);
  void on_over_limit(const RightRecord& right, std::uint64_t messages);

  Store& store_;
  DataplaneLink& link_;
  LogBook& logs_;
  RestartBook restarts_;
  ViolationBook violations_;
  Happenings happenings_;
  Groups groups_;
  OverLimits over_limits_;
  std::vector<ProcessListener*> listeners_;
};

}  // namespace pgrid::control
