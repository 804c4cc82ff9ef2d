// The helper thread and processes that give up: it tells control, loads them as such on a worker that restarts, tells a control
// that comes back, and has them restarted when control says so; what a worker may not say of it costs that worker.
#include "tests/dataplane/handover_harness.hpp"

namespace pgrid::dataplane {
namespace {

class HandoverGivingUp : public HandoverTest {
 protected:
  bool restart(Peer& control, std::uint32_t process, std::uint32_t generation = 1) {
    abi::RestartProcess message{};
    message.header = abi::handover_header<abi::RestartProcess>(abi::HandoverType::restart_process);
    message.process = process;
    message.generation = generation;
    return control.socket().send(message);
  }
  std::optional<abi::LoadProcess> next_load(Peer& worker) {
    return next_as<abi::LoadProcess>(worker, abi::HandoverType::load_process);
  }
  std::optional<abi::RestartProcess> next_restart(Peer& worker) {
    return next_as<abi::RestartProcess>(worker, abi::HandoverType::restart_process);
  }
  /// "status text" of the next ProcessState, "" when none comes.
  std::string next_state(Peer& control) {
    const auto state = next_as<abi::ProcessState>(control, abi::HandoverType::process_state);
    if (!state) return "";
    const char* names[] = {"?", "loaded", "failed", "unloaded", "gave_up"};
    return std::string(names[static_cast<std::uint32_t>(state->status)]) + " " + state->text;
  }
  Peer lose_and_seat_worker(Peer& old) {
    old.leave();
    EXPECT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::lost; }));
    poll_cores_turn();
    return seat_worker(0);
  }
  void loaded_and_gave_up(Peer& control, Peer& worker) {
    control.load(7, 1, 0, "code");
    ASSERT_TRUE(next_load(worker));
    worker.report(7, 1, abi::ProcessStatus::loaded);
    ASSERT_EQ(next_state(control), "loaded ");
    worker.report(7, 1, abi::ProcessStatus::gave_up, 0, "it stopped");
    ASSERT_EQ(next_state(control), "gave_up it stopped");
  }
};

TEST_F(HandoverGivingUp, StaysSoWhenTheWorkerRestarts) {
  Peer control = seat_control();
  Peer worker = seat_worker(0);
  poll_cores_turn();
  loaded_and_gave_up(control, worker);
  Peer next = lose_and_seat_worker(worker);
  const auto load = next_load(next);
  ASSERT_TRUE(load);
  EXPECT_EQ(load->gave_up, 1u);
  next.report(7, 1, abi::ProcessStatus::loaded);
  EXPECT_EQ(next_state(control), "gave_up it stopped");
  EXPECT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::serving; }));
}

TEST_F(HandoverGivingUp, AControlThatComesBackIsTold) {
  Peer worker = seat_worker(0);
  {
    Peer control = seat_control();
    poll_cores_turn();
    loaded_and_gave_up(control, worker);
  }
  ASSERT_TRUE(step_until([&] { return stats_->gauges().control_attached.load() == 0; }));
  poll_cores_turn();
  Peer control = seat_control();
  control.load(7, 1, 0, "code");
  EXPECT_EQ(next_state(control), "gave_up it stopped") << "loading it again does not bring it back";
}

TEST_F(HandoverGivingUp, WhatControlKnowsIsTakenOver) {
  Peer control = seat_control();
  Peer worker = seat_worker(0);
  poll_cores_turn();
  abi::LoadProcess load{};
  load.header = abi::handover_header<abi::LoadProcess>(abi::HandoverType::load_process);
  load.process = 7;
  load.generation = 1;
  load.gave_up = 77;
  const auto code = shm::sealed_copy("code", std::as_bytes(std::span("code", 4)));
  const int fds[] = {code->get()};
  ASSERT_TRUE(control.socket().send(load, fds));
  const auto told = next_load(worker);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->gave_up, 1u);
  worker.report(7, 1, abi::ProcessStatus::loaded);
  EXPECT_EQ(next_state(control), "gave_up ");
}

TEST_F(HandoverGivingUp, ARestartBringsItBack) {
  Peer control = seat_control();
  Peer worker = seat_worker(0);
  poll_cores_turn();
  loaded_and_gave_up(control, worker);
  restart(control, 7, 2);  // another generation: nobody
  restart(control, 9);
  restart(control, 7);
  const auto told = next_restart(worker);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->process, 7u);
  EXPECT_EQ(told->generation, 1u);
  worker.report(7, 1, abi::ProcessStatus::loaded);
  EXPECT_EQ(next_state(control), "loaded ");
  worker.report(7, 1, abi::ProcessStatus::gave_up, 0, "again");
  EXPECT_EQ(next_state(control), "gave_up again");
  EXPECT_EQ(worker_state(0), abi::WorkerState::serving);
}

TEST_F(HandoverGivingUp, ARestartAndGivingUpThatCross) {
  Peer control = seat_control();
  Peer worker = seat_worker(0);
  poll_cores_turn();
  control.load(7, 1, 0, "code");
  ASSERT_TRUE(next_load(worker));
  worker.report(7, 1, abi::ProcessStatus::loaded);
  ASSERT_EQ(next_state(control), "loaded ");
  restart(control, 7);
  ASSERT_TRUE(next_restart(worker));
  worker.report(7, 1, abi::ProcessStatus::gave_up, 0, "before it was asked");
  EXPECT_EQ(next_state(control), "gave_up before it was asked");
  worker.report(7, 1, abi::ProcessStatus::loaded);
  EXPECT_EQ(next_state(control), "loaded ");
  Peer next = lose_and_seat_worker(worker);
  const auto load = next_load(next);
  ASSERT_TRUE(load);
  EXPECT_EQ(load->gave_up, 0u);
}

TEST_F(HandoverGivingUp, ARestartWhileTheWorkerIsAwayIsDoneWhenItComes) {
  Peer control = seat_control();
  Peer worker = seat_worker(0);
  poll_cores_turn();
  loaded_and_gave_up(control, worker);
  worker.leave();
  ASSERT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::lost; }));
  poll_cores_turn();
  restart(control, 7);
  handover_->step(1);
  Peer next = seat_worker(0);
  const auto load = next_load(next);
  ASSERT_TRUE(load);
  EXPECT_EQ(load->gave_up, 0u);
}

TEST_F(HandoverGivingUp, OneThatCouldNotBeLoadedIsTriedAgain) {
  Peer control = seat_control();
  Peer worker = seat_worker(0);
  poll_cores_turn();
  control.load(7, 1, 0, "code");
  ASSERT_TRUE(next_load(worker));
  worker.report(7, 1, abi::ProcessStatus::failed, 0, "no");
  ASSERT_EQ(next_state(control), "failed no");
  restart(control, 7);
  ASSERT_TRUE(next_load(worker));
  worker.report(7, 1, abi::ProcessStatus::loaded);
  EXPECT_EQ(next_state(control), "loaded ");
}

TEST_F(HandoverGivingUp, WhoGivesUpTwiceOrServesUnaskedWroteNonsense) {
  for (const abi::ProcessStatus wrong : {abi::ProcessStatus::gave_up, abi::ProcessStatus::loaded}) {
    Peer control = seat_control();
    Peer worker = seat_worker(0);
    poll_cores_turn();
    loaded_and_gave_up(control, worker);
    worker.report(7, 1, wrong);
    EXPECT_TRUE(step_until([&] { return loss() == abi::WorkerLoss::nonsense; }));
    poll_cores_turn();
    control.unload(7, 1);
    EXPECT_EQ(next_state(control), "unloaded ");
    control.leave();
    ASSERT_TRUE(step_until([&] { return stats_->gauges().control_attached.load() == 0; }));
    poll_cores_turn();
    stats_->worker(0).loss.store(0);
  }
}

}  // namespace
}  // namespace pgrid::dataplane
