// One program of the node while `pgrid up` runs it: started, heard, ended, reaped.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "drivers/base/result.hpp"
#include "drivers/base/unique_fd.hpp"

namespace pgrid::tools {

using Clock = std::chrono::steady_clock;

enum class Role { data_plane, worker, control };

struct ChildSpec {
  Role role;
  std::string name;                // for people: "worker 0"
  std::vector<std::string> argv;   // argv[0] is the path
  std::string ready_mark;          // "pgrid-worker: ready", with which its ready line begins
};

/// How a process ended, as wait(2) tells it.
struct Ending {
  int status = 0;
  [[nodiscard]] bool exited_with(int code) const;
  [[nodiscard]] std::string text() const;  // "exited with 1", "was killed by signal 9"
};

/// Owner of one process at a time. Its stdout and stderr come through one pipe, line by line. It sits in a process group
/// of its own, so that Ctrl-C reaches only `pgrid up`, and is killed by the kernel when its parent dies.
/// Restart policy lives in the supervisor; this class only keeps what it decides by.
class Child {
 public:
  explicit Child(ChildSpec spec) : spec_(std::move(spec)) {}

  [[nodiscard]] const ChildSpec& spec() const { return spec_; }
  [[nodiscard]] bool running() const { return pid_ > 0; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] int output_fd() const { return output_.get(); }

  [[nodiscard]] Result<void> start();
  void signal(int number) const;

  /// Reads what it wrote. `relay` gets whole lines; the ready line is not relayed but makes `ready` true. Until then its
  /// last "pgrid-NAME: " line is held back, because it may turn out to be why it ended.
  void read_output(const std::function<void(const std::string&)>& relay);

  /// After wait(2): drains the pipe. Gives the held line, without its "pgrid-NAME: ".
  std::string ended(const std::function<void(const std::string&)>& relay);

  bool ready = false;                    // since it was last started
  bool was_ready = false;                // ever
  bool slowness_said = false;            // since it was last started
  unsigned starts = 0;
  Clock::time_point started_at{};
  Clock::time_point start_at{};          // when to start it next
  std::chrono::milliseconds backoff{0};  // before the start after that
  Clock::time_point kill_at = Clock::time_point::max();

 private:
  void take_line(std::string line, const std::function<void(const std::string&)>& relay);

  ChildSpec spec_;
  pid_t pid_ = -1;
  UniqueFd output_;
  std::string partial_;
  std::string held_;
};

}  // namespace pgrid::tools
