// Rights that processes hold, as control says it to the helper thread: poll cores find them, the worker learns that they are
// there, and they go with their process.
#include "tests/dataplane/handover_harness.hpp"

namespace pgrid::dataplane {
namespace {

class Handles : public HandoverTest {
 protected:
  [[nodiscard]] bool held(std::uint32_t process, std::uint32_t generation, std::uint32_t handle, std::uint32_t slot) {
    const HeldRight right = handles_.find(process, generation, 0, handle);
    return right.verdict == HeldRight::Verdict::held && right.slot == slot;
  }
  /// A process 7 of generation 1 on a worker that serves.
  void load_seven() {
    control.load(7, 1, 0, "seven");
    ASSERT_TRUE(next_as<abi::LoadProcess>(worker, abi::HandoverType::load_process));
    worker.report(7, 1, abi::ProcessStatus::loaded);
    ASSERT_TRUE(next_as<abi::ProcessState>(control, abi::HandoverType::process_state));
  }
  std::optional<abi::SetHandle> told() { return next_as<abi::SetHandle>(worker, abi::HandoverType::set_handle); }
  bool nothing_for_the_worker() {
    for (int i = 0; i < 20; ++i) handover_->step(1);
    Datagram none;
    return worker.socket().receive(none) == HandoverSocket::Received::nothing;
  }
  Peer worker = seat_worker(0);
  Peer control = seat_control();
};

TEST_F(Handles, ReachPollCoresAndTheWorkerWhichLearnsNoSlot) {
  load_seven();
  control.set_handle(7, 1, 4, 12, 3);
  auto set = told();
  ASSERT_TRUE(set);
  EXPECT_EQ(set->process, 7u);
  EXPECT_EQ(set->generation, 1u);
  EXPECT_EQ(set->handle, 4u);
  EXPECT_EQ(set->held, 1u);
  EXPECT_EQ(set->slot, 0u);
  EXPECT_EQ(set->right_generation, 0u);
  EXPECT_TRUE(held(7, 1, 4, 12));
  EXPECT_EQ(handles_.find(7, 1, 0, 4).generation, 3u);

  control.set_handle(7, 1, 4, 12, 3);  // a control that came back says it again
  EXPECT_TRUE(nothing_for_the_worker());
  control.set_handle(7, 1, 4, 13, 1);  // another right under the same handle: nothing new for the worker
  EXPECT_TRUE(nothing_for_the_worker());
  EXPECT_TRUE(held(7, 1, 4, 13));

  control.set_handle(7, 1, 4, 0, 0);
  set = told();
  ASSERT_TRUE(set);
  EXPECT_EQ(set->held, 0u);
  EXPECT_FALSE(held(7, 1, 4, 13));
  control.set_handle(7, 1, 4, 0, 0);
  EXPECT_TRUE(nothing_for_the_worker());
}

TEST_F(Handles, ComeBackWithTheWorker) {
  load_seven();
  for (const std::uint32_t handle : {4u, 5u, 18u}) control.set_handle(7, 1, handle, 15, 1);
  control.set_handle(7, 1, 5, 0, 0);
  ASSERT_TRUE(step_until([&] { return held(7, 1, 18, 15) && !held(7, 1, 5, 15); }));
  worker.leave();
  ASSERT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::absent; }));
  control.set_handle(7, 1, 6, 15, 1);  // while it is away
  ASSERT_TRUE(step_until([&] { return held(7, 1, 6, 15); }));
  worker = seat_worker(0);
  const auto load = next_as<abi::LoadProcess>(worker, abi::HandoverType::load_process);
  ASSERT_TRUE(load);
  EXPECT_EQ(load->handles, 1u << 4 | 1u << 6 | 1u << 18) << "and not what control wrote there";
  EXPECT_TRUE(nothing_for_the_worker());
  control.set_handle(7, 1, 7, 15, 1);  // while it loads
  EXPECT_TRUE(told());
}

TEST_F(Handles, OfAnotherProcessAreIgnored) {
  load_seven();
  control.set_handle(8, 1, 4, 12, 3);
  control.set_handle(7, 2, 4, 12, 3);
  control.set_handle(7, 0, 4, 12, 3);
  control.set_handle(~0u, 1, 4, 12, 3);
  EXPECT_TRUE(nothing_for_the_worker());
  for (const std::uint32_t generation : {0u, 1u, 2u}) EXPECT_FALSE(held(7, generation, 4, 12));
  EXPECT_EQ(stats_->gauges().control_attached.load(), 1u) << "it may not know yet";
}

TEST_F(Handles, AreGoneWithTheirProcess) {
  load_seven();
  control.set_handle(7, 1, 4, 12, 3);
  ASSERT_TRUE(told());
  control.load(7, 1, 0, "seven");  // the same: nothing changes
  ASSERT_TRUE(next_as<abi::ProcessState>(control, abi::HandoverType::process_state));
  EXPECT_TRUE(held(7, 1, 4, 12));
  control.load(7, 2, 0, "eight");  // something else under the same index begins with none
  const auto load = next_as<abi::LoadProcess>(worker, abi::HandoverType::load_process);
  ASSERT_TRUE(load);
  EXPECT_EQ(load->handles, 0u);
  EXPECT_FALSE(held(7, 1, 4, 12));
  EXPECT_FALSE(held(7, 2, 4, 12));
  control.set_handle(7, 2, 4, 12, 3);
  ASSERT_TRUE(told());
  EXPECT_TRUE(held(7, 2, 4, 12));
  control.unload(7, 2);
  ASSERT_TRUE(next_as<abi::UnloadProcess>(worker, abi::HandoverType::unload_process));
  EXPECT_FALSE(held(7, 2, 4, 12)) << "at once, whatever the worker does";
  control.set_handle(7, 2, 4, 12, 3);
  EXPECT_TRUE(nothing_for_the_worker());
  EXPECT_FALSE(held(7, 2, 4, 12));
}

TEST_F(Handles, NonsenseCostsControlItsPlace) {
  load_seven();
  const std::pair<std::uint32_t, std::uint32_t> handle_slot[] = {{0, 1}, {3, 1}, {19, 1}, {~0u, 1}, {4, 16}, {4, ~0u}};
  for (const auto& [handle, slot] : handle_slot) {
    control.set_handle(7, 1, handle, slot, 1);
    EXPECT_TRUE(closed(control)) << handle << " " << slot;
    poll_cores_turn();
    control = seat_control();
  }
  EXPECT_TRUE(nothing_for_the_worker());
}

}  // namespace
}  // namespace pgrid::dataplane
