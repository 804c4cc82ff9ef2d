// Runs the node's programs: starts them in order, starts again what dies, stops them in order.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "drivers/base/unique_fd.hpp"
#include "tools/pgrid/exit_code.hpp"
#include "tools/pgrid/supervisor/child.hpp"

namespace pgrid::tools {

struct SupervisorTimes {
  std::chrono::milliseconds backoff_first{100};
  std::chrono::milliseconds backoff_max{5'000};
  std::chrono::milliseconds healthy_after{10'000};  // alive so long: the next death begins at backoff_first again
  std::chrono::milliseconds orphan_max{2'000};      // for a worker to notice that its data plane is gone
  std::chrono::milliseconds stop_max{10'000};       // for each step of stopping
  std::chrono::milliseconds slow_after{5'000};      // to say that a program is still not ready
};

/// Single-threaded; lives in `pgrid up` alone. The data plane goes first; workers and control start when it is ready. A
/// worker cannot outlive its data plane, so a worker that ends because of that is no failure of its own.
class Supervisor {
 public:
  /// `say` gets progress, `relay` gets the programs' own lines.
  Supervisor(std::vector<ChildSpec> specs, SupervisorTimes times, std::function<void(const std::string&)> say,
             std::function<void(const std::string&)> relay);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  /// Runs until SIGINT or SIGTERM, or until a program refuses its configuration at its first start. All children are gone
  /// when it returns. `on_ready` is called once, when everything is ready for the first time.
  [[nodiscard]] Result<void> run(const std::function<void()>& on_ready);

 private:
  enum class Phase { running, stop_control, stop_data_plane, stop_workers, stopped };

  void start_due();
  void reap();
  void child_ended(Child& child, Ending ending);
  void read_signals();
  void look_at_readiness(const std::function<void()>& on_ready);
  void enter(Phase phase);
  void advance_stop();
  void kill_overdue();
  [[nodiscard]] int poll_timeout_ms() const;
  [[nodiscard]] bool data_plane_ready() const;
  [[nodiscard]] bool any_running(Role role) const;

  std::vector<Child> children_;
  SupervisorTimes times_;
  std::function<void(const std::string&)> say_;
  std::function<void(const std::string&)> relay_;
  UniqueFd signals_;
  Phase phase_ = Phase::running;
  bool all_ready_said_ = false;
  std::vector<bool> ready_said_;  // per child, since its last start
  Result<void> outcome_;
};

}  // namespace pgrid::tools
