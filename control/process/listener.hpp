// Who hears what becomes of processes and their instances: whoever keeps something that lasts as long as those.
#pragma once

#include <cstdint>
#include <string>

#include "control/store/state.hpp"

namespace pgrid::control {

/// Called on the loop's thread by Supervision (control/process/supervision.hpp), which is told to by `listen`. The record is as
/// it is in the store at that moment; a listener may commit, and may not remove the process.
class ProcessListener {
 public:
  /// `instance` serves the process, and every other one that it had is gone with what it knew. 0: all are gone, and the next
  /// one is not known yet (it backs off, gave up, its worker died, or the data plane is a new one). May be told twice. What
  /// happened while control was away is not told: a guest_request of another instance, or the next event, tells. Numbers are
  /// compared for equality only.
  virtual void on_instance(const ProcessRecord& process, std::uint32_t instance) = 0;
  /// It is not served any more until somebody restarts it: `why` is a sentence. Told once for each time, after
  /// on_instance(process, 0).
  virtual void on_gave_up(const ProcessRecord& process, const std::string& why) = 0;
  /// It was restarted, and serves again.
  virtual void on_revived(const ProcessRecord& process) = 0;

 protected:
  ~ProcessListener() = default;
};

}  // namespace pgrid::control
