// Shows that processes of a worker share its core by CPU time, not by messages: the test's clock stands for the CPU time that
// guests use, so shares are counted, not measured.
#include <map>

#include "tests/dataplane/worker/worker_fixture.hpp"

namespace pgrid::worker {
namespace {

class Fairness : public WorkerTest {
 protected:
  Fairness() : fair_core_(segment_, kGeometry, 0, kTscHz, engine_, clock_), fair_linker_(*make_guest_linker(engine_, fair_core_)) {
    EXPECT_TRUE(fair_linker_.define<&burn>("test", "burn", this));
  }
  static std::int32_t burn(void* test, std::uint32_t us, std::uint32_t) noexcept {
    if (us != 0) static_cast<Fairness*>(test)->clock_.pass(std::uint64_t{us} * 1000);
    return 0;
  }
  void load_burner(std::uint32_t process) {
    auto module = wasm::Module::compile(engine_, tests::guest("burns"));
    ASSERT_TRUE(module) << module.error().sentence();
    auto made = std::make_unique<InstanceSlot>();
    made->process = process;
    made->generation = 1;
    made->limits = {.memory_bytes = 1u << 20, .time_limit_us = 1'000'000, .mailbox = 256};
    made->code = *fair_linker_.bind(*module);
    const auto attached = fair_core_.attach(std::move(made));
    ASSERT_TRUE(attached.ok) << attached.text;
  }
  /// A message that takes so much CPU time.
  void ask(std::uint32_t process, std::uint32_t us) {
    request(process, std::string(reinterpret_cast<const char*>(&us), sizeof us), entry_++ & 255);
  }
  /// Answers by process since the last time.
  std::map<std::uint32_t, std::uint32_t> answers() {
    std::map<std::uint32_t, std::uint32_t> of;
    while (const auto found = answer()) {
      EXPECT_EQ(found->kind(), abi::Kind::answer) << name_of(found->reason());
      ++of[found->header.process];
    }
    return of;
  }

  Ticker clock_{engine_};  // watches nobody
  WorkerCore fair_core_;
  wasm::Linker fair_linker_;
  std::uint32_t entry_ = 0;
};

TEST_F(Fairness, SlowMessagesLetOthersIn) {
  load_burner(5);
  load_burner(6);
  for (int i = 0; i < 8; ++i) ask(5, 1000);
  for (int i = 0; i < 8; ++i) ask(6, 0);
  ASSERT_TRUE(fair_core_.turn());
  auto of = answers();
  EXPECT_EQ(of[5], 1u);  // four quanta long: no second one while others wait
  EXPECT_EQ(of[6], 8u);
}

TEST_F(Fairness, WhoOverranSitsOut) {
  load_burner(5);
  load_burner(6);
  for (int i = 0; i < 20; ++i) ask(5, 1000);  // four quanta each
  std::uint32_t slow = 0, quick = 0;
  for (int turn = 0; turn < 40; ++turn) {
    for (int i = 0; i < 4; ++i) ask(6, 0);
    fair_core_.turn();
    auto of = answers();
    EXPECT_EQ(of[6], 4u) << "who owes nothing is served in every turn";
    slow += of[5];
    quick += of[6];
  }
  EXPECT_EQ(slow, 10u);  // one of four turns
  EXPECT_EQ(quick, 160u);
}

TEST_F(Fairness, TimeIsSharedEvenlyBetweenUnevenMessages) {
  load_burner(5);
  load_burner(6);
  std::map<std::uint32_t, std::uint32_t> of, asked;
  for (int turn = 0; turn < 400; ++turn) {
    for (const std::uint32_t process : {5u, 6u})
      for (; asked[process] < of[process] + 4; ++asked[process]) ask(process, process == 5 ? 2000 : 500);
    fair_core_.turn();
    for (const auto& [process, count] : answers()) of[process] += count;
  }
  ASSERT_GT(of[5], 0u);
  EXPECT_NEAR(static_cast<double>(of[6]) / of[5], 4.0, 0.5);
}

TEST_F(Fairness, AloneNobodySitsOut) {
  load_burner(5);
  for (int i = 0; i < 10; ++i) ask(5, 5000);
  for (int turn = 0; turn < 10; ++turn) {
    ASSERT_TRUE(fair_core_.turn());
    EXPECT_EQ(answers()[5], 1u) << turn;
  }
  // Nor is what it used then held against it later.
  load_burner(6);
  ask(5, 0);
  ask(6, 0);
  fair_core_.turn();
  fair_core_.turn();
  auto of = answers();
  EXPECT_EQ(of[5], 1u);
  EXPECT_EQ(of[6], 1u);
}

TEST_F(Fairness, WhatAQuantumLeftIsNotUnread) {
  load_burner(5);
  load_burner(6);
  for (int i = 0; i < 30; ++i) ask(5, 1000);
  for (int turn = 0; turn < 200; ++turn) {
    ask(6, 0);
    fair_core_.turn();
    auto of = answers();  // of kind answer, all of them
    EXPECT_LE(of[5], 1u);
  }
  ask(5, 0);
  fair_core_.turn();
  EXPECT_EQ(answers()[5], 1u);
}

TEST_F(Fairness, ATickAloneCostsNoTurn) {
  load_burner(5);
  load_burner(6);
  for (int turn = 0; turn < 50; ++turn) {
    ask(5, turn % 2 == 0 ? 1 : 0);  // a tick passes while it runs, by chance
    ask(6, 0);
    fair_core_.turn();
    auto of = answers();
    EXPECT_EQ(of[5], 1u);
    EXPECT_EQ(of[6], 1u);
  }
}

TEST_F(Fairness, TimeBeforeItRanIsNobodys) {
  load_burner(5);
  load_burner(6);
  clock_.pass(1'000'000'000);
  ask(5, 0);
  ask(6, 0);
  fair_core_.turn();
  (void)answers();
  clock_.pass(1'000'000'000);
  for (int turn = 0; turn < 4; ++turn) {
    ask(5, 0);
    ask(6, 0);
    fair_core_.turn();
    auto of = answers();
    EXPECT_EQ(of[5], 1u);
    EXPECT_EQ(of[6], 1u);
  }
}

TEST_F(WorkerTest, PastTheDeadlineIsNotHandedOver) {
  load("echo", 5);
  request(5, "too late", 1);
  core_.clock().skip_us(200'000);  // it had 100,000
  request(5, "in time", 2);
  core_.rest();  // so that the clock is looked at when the guest begins
  run();
  const auto found = answer();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->body, "in time");
  EXPECT_FALSE(answer());
  EXPECT_EQ(line().handled.load(), 1u);
  EXPECT_FALSE(core_.turn());
}

TEST_F(WorkerTest, AllPastTheDeadlineIsNothingWaiting) {
  load("misbehave", 5);
  for (std::uint32_t i = 0; i < 40; ++i) request(5, "trap", i);
  core_.clock().skip_us(200'000);
  core_.rest();
  run();
  EXPECT_FALSE(answer());
  EXPECT_EQ(line().rebuilds.load(), 0u);
}

}  // namespace
}  // namespace pgrid::worker
