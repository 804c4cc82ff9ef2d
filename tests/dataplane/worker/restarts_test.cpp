// Shows restart intensity, back-off and giving up: how many restarts a period allows, how long a process is left alone beyond
// that, when it is given up, what its senders are told meanwhile, and what control hears of it.
#include "tests/dataplane/worker/worker_fixture.hpp"

#include "dataplane/worker/restarts.hpp"

namespace pgrid::worker {
namespace {

constexpr abi::ProcessLimits limits_of(std::uint32_t restarts_max, std::uint32_t period_ms = 1000,
                                       abi::RestartStrategy strategy = abi::RestartStrategy::always,
                                       std::uint32_t give_up_after = 0) {
  return {.restarts_max = restarts_max,
          .restart_period_ms = period_ms,
          .strategy = strategy,
          .backoff_min_ms = 10,
          .backoff_max_ms = 1000,
          .give_up_after = give_up_after};
}
constexpr abi::ProcessLimits kThreeASecond = limits_of(3);

std::uint32_t pause_after(Restarts& restarts, std::uint64_t ms, const abi::ProcessLimits& limits, bool failed = false) {
  const Restarts::Verdict verdict = restarts.count(ms, limits, failed);
  EXPECT_FALSE(verdict.gives_up);
  return verdict.back_off_ms;
}

TEST(RestartsTest, WithinTheBoundNothingWaits) {
  Restarts restarts;
  for (std::uint64_t ms : {100, 200, 300, 1100, 1200, 1300}) EXPECT_EQ(pause_after(restarts, ms, kThreeASecond), 0u) << ms;
  EXPECT_EQ(restarts.total(), 6u);
}

TEST(RestartsTest, BackOffDoublesToItsBound) {
  Restarts restarts;
  std::uint64_t ms = 0;
  const abi::ProcessLimits limits = limits_of(3, 60'000);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(pause_after(restarts, ms, limits), 0u);
  std::vector<std::uint32_t> found;
  for (int i = 0; i < 9; ++i) {
    found.push_back(pause_after(restarts, ms, limits));
    ms += found.back();
  }
  EXPECT_EQ(found, (std::vector<std::uint32_t>{10, 20, 40, 80, 160, 320, 640, 1000, 1000}));
}

TEST(RestartsTest, BackOffIsWhatWasAskedFor) {
  Restarts restarts;
  abi::ProcessLimits limits = limits_of(1);
  limits.backoff_min_ms = 7;
  limits.backoff_max_ms = 20;
  EXPECT_EQ(pause_after(restarts, 0, limits), 0u);
  for (const std::uint32_t pause : {7u, 14u, 20u, 20u}) EXPECT_EQ(pause_after(restarts, 0, limits), pause);
  limits = {.restarts_max = 0, .backoff_min_ms = 5, .backoff_max_ms = 0};  // nonsense, but no endless loop
  EXPECT_GT(pause_after(restarts, 0, limits, true), 0u);
  limits = {.restarts_max = 0, .backoff_min_ms = 4'000'000'000, .backoff_max_ms = 4'000'000'000};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(pause_after(restarts, 0, limits, true), 4'000'000'000u);
}

TEST(RestartsTest, APeriodWithoutRestartsBeginsAfresh) {
  Restarts restarts;
  for (int i = 0; i < 3; ++i) (void)restarts.count(0, kThreeASecond, false);
  EXPECT_EQ(pause_after(restarts, 0, kThreeASecond), 10u);
  EXPECT_EQ(pause_after(restarts, 10, kThreeASecond), 20u);  // served again from 30
  EXPECT_EQ(pause_after(restarts, 1029, kThreeASecond, true), 40u);  // 999 without: not yet
  EXPECT_EQ(pause_after(restarts, 1069 + 1000, kThreeASecond, true), 10u);
}

TEST(RestartsTest, NoBoundIsNoBackOffUnlessItFailed) {
  Restarts restarts;
  const abi::ProcessLimits free = limits_of(0);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(pause_after(restarts, 0, free), 0u);
  EXPECT_EQ(pause_after(restarts, 0, free, true), 10u);
  EXPECT_EQ(pause_after(restarts, 0, free, true), 20u);
}

TEST(RestartsTest, OnFailureGivesUpAfterSoManyPausesInARow) {
  Restarts restarts;
  const abi::ProcessLimits limits = limits_of(2, 60'000, abi::RestartStrategy::on_failure, 3);
  for (const std::uint32_t pause : {0u, 0u, 10u, 20u, 40u}) EXPECT_EQ(pause_after(restarts, 0, limits), pause);
  EXPECT_TRUE(restarts.count(0, limits, false).gives_up);
  EXPECT_EQ(restarts.pauses(), 3u);
  EXPECT_EQ(restarts.in_row(), 6u);
  restarts.begin_anew();
  EXPECT_EQ(restarts.total(), 7u);
  for (const std::uint32_t pause : {0u, 0u, 10u}) EXPECT_EQ(pause_after(restarts, 0, limits), pause);
}

TEST(RestartsTest, AHandledMessageBeginsTheRowAfresh) {
  Restarts restarts;
  const abi::ProcessLimits limits = limits_of(1, 60'000, abi::RestartStrategy::on_failure, 2);
  EXPECT_EQ(pause_after(restarts, 0, limits), 0u);
  for (int i = 0; i < 10; ++i) {
    EXPECT_NE(pause_after(restarts, 0, limits), 0u);
    EXPECT_NE(pause_after(restarts, 0, limits), 0u);
    restarts.handled();
  }
  for (int i = 0; i < 2; ++i) EXPECT_NE(pause_after(restarts, 0, limits), 0u);
  EXPECT_TRUE(restarts.count(0, limits, true).gives_up);
}

TEST(RestartsTest, WithoutAPauseItGivesUpWhereItWouldHaveBeen) {
  Restarts restarts;
  const abi::ProcessLimits limits = limits_of(2, 1000, abi::RestartStrategy::on_failure, 0);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(pause_after(restarts, 0, limits), 0u);
  EXPECT_TRUE(restarts.count(0, limits, false).gives_up);
}

TEST(RestartsTest, NeverIsNever) {
  Restarts restarts;
  EXPECT_TRUE(restarts.count(0, limits_of(0, 1000, abi::RestartStrategy::never, 9), false).gives_up);
}

TEST_F(WorkerTest, TooManyRestartsAreLeftAlone) {
  load("misbehave", 5, 0, 3, 1000);
  load("echo", 6);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(call(5, "trap").reason(), abi::Reason::broken);
  EXPECT_EQ(line().instances.load(), 1u);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(call(5, "x").reason(), abi::Reason::busy);
  EXPECT_EQ(call(6, "y").body, "y");
  core_.clock().skip_us(9'000);
  EXPECT_EQ(call(5, "x").reason(), abi::Reason::busy);
  core_.clock().skip_us(1'000);
  EXPECT_EQ(call(5, "x").body, "x");
  EXPECT_EQ(line().instances.load(), 2u);
  EXPECT_EQ(call(5, "trap").reason(), abi::Reason::broken);
  core_.clock().skip_us(19'000);
  EXPECT_EQ(call(5, "x").reason(), abi::Reason::busy);
  core_.clock().skip_us(1'000);
  EXPECT_EQ(call(5, "x").body, "x");
}

TEST_F(WorkerTest, WhatWaitsStays) {
  load("misbehave", 5, 0, 1, 1000);
  EXPECT_EQ(call(5, "trap").reason(), abi::Reason::broken);
  request(5, "trap", 1);
  request(5, "stays", 2);
  run();
  EXPECT_EQ(answer()->reason(), abi::Reason::broken);
  EXPECT_FALSE(answer());
  for (std::uint32_t i = 0; i < 500; ++i) {  // the ring goes round meanwhile
    EXPECT_EQ(call(5, std::string(1024, 'x'), 3).reason(), abi::Reason::busy);
  }
  core_.clock().skip_us(10'000);
  run();
  const auto found = answer();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->body, "stays");
}

TEST_F(WorkerTest, FailedInitIsNotTriedAtEachBurst) {
  for (const int how : {1, 2, 3}) {  // traps, loops, traps in the start function
    said_ = 0;
    load("init_as_told", 5, 0, 0, 0);
    said_ = how;
    EXPECT_EQ(call(5, "trap").reason(), abi::Reason::broken);
    const std::uint32_t tried = asked_;
    for (int i = 0; i < 20; ++i) EXPECT_EQ(call(5, "x").reason(), abi::Reason::busy);
    EXPECT_EQ(asked_, tried);
    core_.clock().skip_us(10'000);
    EXPECT_EQ(call(5, "x").reason(), abi::Reason::busy);  // tried again, failed again
    EXPECT_GT(asked_, tried);
    EXPECT_EQ(line().instances.load(), 0u);
    said_ = 0;
    EXPECT_EQ(call(5, "x").reason(), abi::Reason::busy);
    core_.clock().skip_us(20'000);
    EXPECT_EQ(call(5, "x").body, "x");
  }
}

TEST_F(WorkerTest, WhoIsLeftAloneCanBeReplacedAndRemoved) {
  load("misbehave", 5, 0, 1, 1000);
  load("misbehave", 6, 0, 1, 1000);
  for (const std::uint32_t process : {5u, 6u})
    for (int i = 0; i < 2; ++i) EXPECT_EQ(call(process, "trap").reason(), abi::Reason::broken);
  ASSERT_NE(core_.detach(6, 1), nullptr);
  load("echo", 5, 2);
  EXPECT_EQ(call(5, "x").body, "x");
  core_.clock().skip_us(1'000'000);
  run();
  EXPECT_EQ(call(5, "x").body, "x");
  EXPECT_EQ(call(6, "x").reason(), abi::Reason::busy);
}

TEST_F(WorkerTest, ControlHearsOfTheLastRestart) {
  load("misbehave", 5);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(call(5, "trap").reason(), abi::Reason::broken);
  auto events = take_told(abi::ReplyType::event);
  ASSERT_EQ(events.size(), 1u) << "no flood";
  EXPECT_EQ(events[0].header.to_slot, 1u);
  EXPECT_EQ(events[0].header.to_generation, 0u);
  core_.clock().skip_us(10'000);
  core_.turn();
  events = take_told(abi::ReplyType::event);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].header.to_slot, 100u);
  core_.clock().skip_us(10'000);
  core_.turn();
  EXPECT_TRUE(take_told(abi::ReplyType::event).empty());
}

TEST_F(WorkerTest, ControlHearsOfBackOff) {
  load("misbehave", 5, 0, 1, 1000);
  EXPECT_EQ(call(5, "trap").reason(), abi::Reason::broken);
  EXPECT_EQ(call(5, "trap").reason(), abi::Reason::broken);
  core_.clock().skip_us(10'000);
  core_.turn();
  const auto events = take_told(abi::ReplyType::event);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].header.to_generation, 0u);
  EXPECT_EQ(events[1].header.to_slot, 2u);
  EXPECT_EQ(events[1].header.to_generation, 10u);
}

TEST_F(WorkerTest, LastRestartIsToldAtUnload) {
  load("misbehave", 5);
  for (int i = 0; i < 7; ++i) EXPECT_EQ(call(5, "trap").reason(), abi::Reason::broken);
  (void)take_told(abi::ReplyType::event);
  ASSERT_NE(core_.detach(5, 1), nullptr);
  const auto events = take_told(abi::ReplyType::event);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].header.to_slot, 7u);
}

}  // namespace
}  // namespace pgrid::worker
