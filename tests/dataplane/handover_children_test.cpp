// Workers that are processes of their own: the helper thread notices when one is killed, writes nonsense, or burns CPU time
// without a sign of life, and ends exactly that one.
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/dataplane/handover_harness.hpp"

namespace pgrid::dataplane {
namespace {

/// A child that connects as worker 0, waits for its Welcome, then does `then` and sleeps.
class Child {
 public:
  Child(const std::string& path, const std::function<void(Peer&)>& then) : pid_(::fork()) {
    if (pid_ != 0) return;
    Peer peer(path);
    peer.hello(abi::Role::worker, 0);
    Datagram datagram;
    while (peer.socket().receive(datagram) == HandoverSocket::Received::nothing) ::usleep(500);
    then(peer);
    for (;;) ::pause();
  }
  ~Child() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  void kill() const { ::kill(pid_, SIGKILL); }
  /// CPU time that it used, also after its end.
  [[nodiscard]] std::uint64_t cpu_ns() const { return cpu_time_ns(pid_); }
  [[nodiscard]] bool is_dead() const {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == pid_;
  }

 private:
  pid_t pid_;
};

TEST_F(HandoverTest, NoticesAKilledWorkerEvenIfAChildOfItHoldsTheSocket) {
  Child worker(path_, [](Peer&) {
    if (::fork() == 0) {
      ::alarm(20);  // outlives its parent, not the test
      for (;;) ::pause();
    }
  });
  ASSERT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::serving; }));
  worker.kill();
  EXPECT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::absent; }));
  EXPECT_EQ(stats_->worker(0).deaths.load(), 1u);
  EXPECT_EQ(loss(), abi::WorkerLoss::ended);
}

TEST_F(HandoverTest, KillsAWorkerThatWroteNonsense) {
  Child worker(path_, [](Peer&) {});
  ASSERT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::serving; }));
  poll_cores_turn();
  cells_.worker(1, 0).faulty = true;
  EXPECT_TRUE(step_until([&] { return worker.is_dead(); }));
  EXPECT_EQ(loss(), abi::WorkerLoss::nonsense);
  poll_cores_turn();
  EXPECT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::absent; }));
}

TEST_F(HandoverTest, KillsAWorkerThatBurnsCpuWithoutASignOfLifeAndNoOther) {
  {
    Child idle(path_, [](Peer&) {});  // uses no CPU time: may be silent for ever
    ASSERT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::serving; }));
    const auto until = Clock::now() + std::chrono::milliseconds(300);
    while (Clock::now() < until) handover_->step(1);
    EXPECT_FALSE(idle.is_dead());
  }
  ASSERT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::absent; }));
  Child stuck(path_, [](Peer&) {
    for (std::atomic<int> i = 0;; ++i) {
    }
  });
  EXPECT_TRUE(step_until([&] { return stuck.is_dead(); }));
  EXPECT_EQ(loss(), abi::WorkerLoss::hung);
}

TEST_F(HandoverTest, AWorkerMayBeSilentForFourTimesItsLargestTimeLimit) {
  Peer control = seat_control();
  control.load(1, 1, 0, "quick", 1'000);
  control.load(2, 1, 0, "slow", 100'000);
  control.load(3, 1, 1, "elsewhere", 60'000'000);
  for (int i = 0; i < 5; ++i) handover_->step(1);
  Child worker(path_, [](Peer& peer) {
    for (std::uint32_t loaded = 0; loaded < 2;) {
      Datagram datagram;
      if (peer.socket().receive(datagram) == HandoverSocket::Received::nothing) {
        ::usleep(500);
      } else if (const auto load = datagram.as<abi::LoadProcess>(abi::HandoverType::load_process)) {
        peer.report(load->process, load->generation, abi::ProcessStatus::loaded);
        ++loaded;
      }
    }
    for (std::atomic<int> i = 0;; ++i) {
    }
  });
  EXPECT_TRUE(step_until([&] { return worker.is_dead(); }));
  EXPECT_EQ(loss(), abi::WorkerLoss::hung);
  EXPECT_GT(worker.cpu_ns(), 4u * 100'000'000) << "CPU time, of the slowest of its own processes";
}

}  // namespace
}  // namespace pgrid::dataplane
