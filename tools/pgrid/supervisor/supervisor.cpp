#include "tools/pgrid/supervisor/supervisor.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <fstream>

namespace pgrid::tools {
namespace {

sigset_t handled_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) ::sigaddset(&set, number);
  return set;
}

/// Processes that our children left behind and the kernel gave to us (we are their subreaper).
void kill_adopted() {
  std::ifstream list("/proc/thread-self/children");
  for (pid_t pid; list >> pid;) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
}

}  // namespace

Supervisor::Supervisor(std::vector<ChildSpec> specs, SupervisorTimes times,
                       std::function<void(const std::string&)> say, std::function<void(const std::string&)> relay)
    : times_(times), say_(std::move(say)), relay_(std::move(relay)) {
  for (ChildSpec& spec : specs) children_.emplace_back(std::move(spec)).backoff = times_.backoff_first;
  ready_said_.resize(children_.size());
  const sigset_t set = handled_signals();
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_ = UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

Supervisor::~Supervisor() {
  for (Child& child : children_) {
    if (!child.running()) continue;
    child.signal(SIGKILL);
    ::waitpid(child.pid(), nullptr, 0);
  }
  kill_adopted();
}

Result<void> Supervisor::run(const std::function<void()>& on_ready) {
  while (phase_ != Phase::stopped) {
    start_due();
    std::vector<pollfd> fds{{signals_.get(), POLLIN, 0}};
    for (const Child& child : children_)
      if (child.output_fd() >= 0) fds.push_back({child.output_fd(), POLLIN, 0});
    ::poll(fds.data(), fds.size(), poll_timeout_ms());
    for (Child& child : children_) child.read_output(relay_);
    look_at_readiness(on_ready);
    read_signals();
    reap();
    kill_overdue();
    advance_stop();
  }
  return outcome_;
}

bool Supervisor::data_plane_ready() const {
  return std::any_of(children_.begin(), children_.end(),
                     [](const Child& c) { return c.spec().role == Role::data_plane && c.ready; });
}

bool Supervisor::any_running(Role role) const {
  return std::any_of(children_.begin(), children_.end(),
                     [role](const Child& c) { return c.spec().role == role && c.running(); });
}

void Supervisor::start_due() {
  const bool attached = data_plane_ready();
  for (Child& child : children_) {
    if (phase_ != Phase::running || child.running() || child.start_at > Clock::now()) continue;
    const bool may = child.spec().role == Role::data_plane || attached ||
                     (child.spec().role == Role::control && child.starts > 0);
    if (!may) continue;
    if (const auto started = child.start(); !started) {
      relay_(started.error().sentence());
      child.start_at = Clock::now() + child.backoff;
      child.backoff = std::min(child.backoff * 2, times_.backoff_max);
    }
  }
}

int Supervisor::poll_timeout_ms() const {
  const auto now = Clock::now();
  const bool attached = data_plane_ready();
  auto next = Clock::time_point::max();
  for (const Child& child : children_) {
    if (child.running()) {
      next = std::min(next, child.kill_at);
      if (!child.ready && !child.slowness_said) next = std::min(next, child.started_at + times_.slow_after);
    } else if (phase_ == Phase::running && (child.spec().role != Role::worker || attached) &&
               (child.spec().role != Role::control || attached || child.starts > 0)) {
      next = std::min(next, child.start_at);
    }
  }
  if (next == Clock::time_point::max()) return -1;
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next - now).count();
  return static_cast<int>(std::clamp<long long>(wait, 0, 60'000));
}

void Supervisor::look_at_readiness(const std::function<void()>& on_ready) {
  bool all = true;
  for (std::size_t i = 0; i < children_.size(); ++i) {
    Child& child = children_[i];
    if (child.ready && !ready_said_[i] && phase_ == Phase::running) say_(child.spec().name + " ready");
    ready_said_[i] = child.ready;
    all = all && child.ready;
    if (child.running() && !child.ready && !child.slowness_said &&
        Clock::now() - child.started_at >= times_.slow_after) {
      child.slowness_said = true;
      say_("still waiting for " + child.spec().name);
    }
  }
  if (!all || all_ready_said_ || phase_ != Phase::running) return;
  all_ready_said_ = true;
  on_ready();
}

void Supervisor::read_signals() {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD) continue;  // reap() looks at all of them
    if (phase_ == Phase::running) {
      say_("stopping");
      enter(Phase::stop_control);
    } else {
      for (Child& child : children_) child.signal(SIGKILL);  // asked twice
    }
  }
}

void Supervisor::reap() {
  std::vector<std::pair<Child*, Ending>> endings;
  int status = 0;
  for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto child = std::find_if(children_.begin(), children_.end(), [pid](const Child& c) { return c.pid() == pid; });
    if (child != children_.end()) endings.emplace_back(&*child, Ending{status});
  }
  // The data plane first: workers that end at the same time do so because of it.
  for (const bool data_plane : {true, false})
    for (const auto& [child, ending] : endings)
      if ((child->spec().role == Role::data_plane) == data_plane) child_ended(*child, ending);
}

void Supervisor::child_ended(Child& child, Ending ending) {
  const bool never_ready = !child.was_ready && !child.ready;
  const bool ready_now = child.ready;
  const std::string sentence = child.ended(relay_);
  const std::string& name = child.spec().name;
  if (phase_ != Phase::running) {
    // A worker leaves with its data plane, in its own way; a program that had not come up is not asked for manners.
    const bool clean = ending.exited_with(0) || !ready_now || (child.spec().role == Role::worker && WIFEXITED(ending.status));
    if (!clean && outcome_)
      outcome_ = fail(Errc::internal, name, ending.text() + " while stopping", sentence);
    return;
  }
  if (ending.exited_with(2) && never_ready && child.starts == 1) {
    outcome_ = fail(Errc::invalid_argument, sentence.empty() ? name + " refused its configuration" : sentence, "");
    return enter(Phase::stop_control);
  }
  if (!sentence.empty()) relay_(name + ": " + sentence);
  const auto now = Clock::now();
  if (child.spec().role == Role::worker && !data_plane_ready()) {  // it went with its data plane
    child.backoff = times_.backoff_first;
    child.start_at = now;
    say_(name + " stopped, because the data plane did");
    return;
  }
  if (now - child.started_at >= times_.healthy_after) child.backoff = times_.backoff_first;
  child.start_at = now + child.backoff;
  say_(name + ' ' + ending.text() + "; starting it again in " + std::to_string(child.backoff.count()) + " ms");
  child.backoff = std::min(child.backoff * 2, times_.backoff_max);
  if (child.spec().role == Role::data_plane)
    for (Child& worker : children_)
      if (worker.spec().role == Role::worker && worker.running()) worker.kill_at = now + times_.orphan_max;
}

void Supervisor::kill_overdue() {
  const auto now = Clock::now();
  for (Child& child : children_) {
    if (!child.running() || child.kill_at > now) continue;
    say_(child.spec().name + " does not stop; killing it");
    child.signal(SIGKILL);
    child.kill_at = Clock::time_point::max();
  }
}

void Supervisor::enter(Phase phase) {
  phase_ = phase;
  const Role role = phase == Phase::stop_control      ? Role::control
                    : phase == Phase::stop_data_plane ? Role::data_plane
                                                      : Role::worker;
  if (phase == Phase::stopped) return;
  for (Child& child : children_) {
    if (child.spec().role != role || !child.running()) continue;
    child.signal(SIGTERM);
    child.kill_at = Clock::now() + times_.stop_max;
  }
}

void Supervisor::advance_stop() {
  if (phase_ == Phase::stop_control && !any_running(Role::control)) enter(Phase::stop_data_plane);
  if (phase_ == Phase::stop_data_plane && !any_running(Role::data_plane)) enter(Phase::stop_workers);
  if (phase_ == Phase::stop_workers && !any_running(Role::worker)) enter(Phase::stopped);
}

}  // namespace pgrid::tools
