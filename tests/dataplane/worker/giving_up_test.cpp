// Shows giving up: when it happens under each strategy, that nobody waits in vain for a process that gave up, that its neighbour
// is answered all the time, that it is told once, and that a restart brings it back. And what is told of a violation: which
// limit, what was measured, how often.
#include "tests/dataplane/worker/worker_fixture.hpp"

#include "abi/guest/promisegrid.h"

namespace pgrid::worker {
namespace {

class GivingUp : public WorkerTest {
 protected:
  /// As the loader asks for it.
  void load_with(const std::string& guest, std::uint32_t process, abi::RestartStrategy strategy, std::uint32_t restarts_max = 1,
                 std::uint32_t give_up_after = 2) {
    auto made = slot(guest, process);
    made->limits.strategy = strategy;
    made->limits.restarts_max = restarts_max;
    made->limits.restart_period_ms = 60'000;
    made->limits.give_up_after = give_up_after;
    const auto attached = core_.attach(std::move(made));
    ASSERT_TRUE(attached.ok) << attached.text;
  }
  std::vector<GaveUp> gave_up() {
    std::vector<GaveUp> found;
    GaveUp one;
    while (core_.gave_up_box().take(one)) found.push_back(one);
    return found;
  }
  void pass_pause() {
    core_.clock().skip_us(1'000'000);
    core_.turn();
  }
  std::vector<Reply> events() {
    core_.clock().skip_us(1'000'000);
    core_.turn();
    return take_told(abi::ReplyType::event);
  }
};

TEST_F(GivingUp, NeverGivesUpAtTheFirstTrap) {
  load_with("misbehave", 5, abi::RestartStrategy::never, 0);
  load("echo", 6);
  request(5, "a", 1);
  request(5, "trap", 2);
  request(5, "b", 3);
  request(6, "c", 4);
  run();
  EXPECT_EQ(answer()->body, "a");
  EXPECT_EQ(answer()->reason(), abi::Reason::broken) << "the one in hand";
  EXPECT_EQ(answer()->reason(), abi::Reason::process_failed) << "the one that waited";
  EXPECT_EQ(answer()->body, "c");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(call(5, "x").reason(), abi::Reason::process_failed) << "never silence";
  EXPECT_EQ(call(6, "y").body, "y");
  EXPECT_EQ(line().instances.load(), 1u);
  const auto told = gave_up();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].process, 5u);
  EXPECT_EQ(told[0].generation, 1u);
  EXPECT_NE(told[0].why.find("unreachable code reached"), std::string::npos) << told[0].why;
  pass_pause();
  EXPECT_EQ(call(5, "x").reason(), abi::Reason::process_failed) << "time changes nothing";
  EXPECT_TRUE(gave_up().empty());
}

TEST_F(GivingUp, OnFailureAfterItsPauses) {
  load_with("misbehave", 5, abi::RestartStrategy::on_failure, 1, 2);
  EXPECT_EQ(call(5, "trap").reason(), abi::Reason::broken);  // served on at once
  for (int pause = 0; pause < 2; ++pause) {
    EXPECT_EQ(call(5, "trap").reason(), abi::Reason::broken);
    EXPECT_EQ(call(5, "x").reason(), abi::Reason::busy);
    pass_pause();
  }
  EXPECT_TRUE(gave_up().empty());
  EXPECT_EQ(call(5, "trap").reason(), abi::Reason::broken);
  EXPECT_EQ(call(5, "x").reason(), abi::Reason::process_failed);
  const auto told = gave_up();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_TRUE(told[0].why.starts_with("it stopped 4 times and was paused 2 times without handling a message in between: "))
      << told[0].why;
}

TEST_F(GivingUp, AlwaysNever) {
  load_with("misbehave", 5, abi::RestartStrategy::always, 1, 0);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(call(5, "trap").reason(), abi::Reason::broken);
    pass_pause();
  }
  EXPECT_EQ(call(5, "x").body, "x");
  EXPECT_TRUE(gave_up().empty());
}

TEST_F(GivingUp, AHandledMessageIsForgiveness) {
  load_with("misbehave", 5, abi::RestartStrategy::on_failure, 1, 2);
  for (int i = 0; i < 20; ++i) {
    if (i % 2 != 0) request(5, "x", 2);  // in one activation with the trap
    request(5, "trap", 1);
    run();
    std::uint32_t broken = 0;
    while (const auto found = answer()) broken += found->reason() == abi::Reason::broken;
    EXPECT_EQ(broken, 1u) << i;
    pass_pause();
    if (i % 2 == 0) {
      EXPECT_EQ(call(5, "x").body, "x");  // in one of its own
    }
  }
  EXPECT_TRUE(gave_up().empty());
  // A message that is only read is not handled.
  (void)take_told(abi::ReplyType::event);
  for (int i = 0; i < 4; ++i) {
    (void)call(5, "trap");
    pass_pause();
  }
  EXPECT_EQ(gave_up().size(), 1u);
}

TEST_F(GivingUp, ANextInstanceThatCannotBeMade) {
  load_with("init_as_told", 5, abi::RestartStrategy::on_failure, 0, 1);
  said_ = 1;  // pg_init traps from now on
  EXPECT_EQ(call(5, "trap").reason(), abi::Reason::broken);
  EXPECT_EQ(call(5, "x").reason(), abi::Reason::busy);
  pass_pause();
  EXPECT_EQ(call(5, "x").reason(), abi::Reason::process_failed) << "tried again for this one, and given up";
  ASSERT_EQ(gave_up().size(), 1u);
  const auto told = events();
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told.back().header.violation, static_cast<std::uint8_t>(abi::Violation::init));
  EXPECT_EQ(told.back().header.instance, 0u);
}

TEST_F(GivingUp, ARestartBringsItBack) {
  load_with("misbehave", 5, abi::RestartStrategy::never);
  EXPECT_EQ(call(5, "trap").reason(), abi::Reason::broken);
  EXPECT_EQ(gave_up().size(), 1u);
  EXPECT_FALSE(core_.restart(5, 2)) << "another generation";
  EXPECT_FALSE(core_.restart(6, 1)) << "nobody";
  EXPECT_FALSE(core_.restart(~0u, 1));
  (void)events();
  ASSERT_TRUE(core_.restart(5, 1));
  EXPECT_EQ(call(5, "x").body, "x");
  const auto told = events();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].reason(), abi::Reason::none);
  EXPECT_EQ(told[0].header.violation, 0u);
  EXPECT_NE(told[0].header.instance, 0u);
  EXPECT_EQ(told[0].header.process_generation, 1u);
  EXPECT_EQ(told[0].header.to_slot, 2u);
  EXPECT_EQ(call(5, "trap").reason(), abi::Reason::broken);
  EXPECT_EQ(gave_up().size(), 1u) << "and it may give up again";
}

TEST_F(GivingUp, ARestartOfOneThatServesKeepsWhatWaits) {
  load("defers", 5);
  load("misbehave", 6, 0, 1, 60'000);
  request(5, "read, and not answered", 1);
  core_.turn();
  request(5, "waits", 2);
  const std::uint64_t before = line().rebuilds.load();
  ASSERT_TRUE(core_.restart(5, 1));
  EXPECT_EQ(line().rebuilds.load(), before + 1);
  EXPECT_EQ(answer()->reason(), abi::Reason::process_failed) << "what the old instance had read";
  for (int i = 0; i < 2; ++i) (void)call(6, "trap");
  EXPECT_EQ(call(6, "x").reason(), abi::Reason::busy);
  request(6, "new", 3);
  ASSERT_TRUE(core_.restart(6, 1)) << "one that is left alone";
  run();
  std::vector<std::string> kept;
  while (const auto found = answer())
    if (found->kind() == abi::Kind::answer) kept.push_back(found->body);
  EXPECT_NE(std::find(kept.begin(), kept.end(), "new"), kept.end());
  EXPECT_TRUE(gave_up().empty());
}

TEST_F(GivingUp, OneThatGaveUpBeforeGetsNoInstance) {
  auto made = slot("echo", 5);
  made->gave_up = true;
  ASSERT_TRUE(core_.attach(std::move(made)).ok);
  EXPECT_EQ(line().instances.load(), 0u);
  EXPECT_EQ(call(5, "x").reason(), abi::Reason::process_failed);
  EXPECT_TRUE(gave_up().empty()) << "that is known";
  ASSERT_TRUE(core_.restart(5, 1));
  EXPECT_EQ(call(5, "x").body, "x");
}

TEST_F(GivingUp, ManyAtOnceAreAllTold) {
  for (std::uint32_t process = 100; process < 200; ++process) {
    auto made = slot("init_as_told", process);
    made->gave_up = true;  // without instances: there are eight
    made->limits.strategy = abi::RestartStrategy::never;
    ASSERT_TRUE(core_.attach(std::move(made)).ok);
  }
  said_ = 1;
  for (std::uint32_t process = 100; process < 200; ++process) EXPECT_TRUE(core_.restart(process, 1));  // fails, and gives up
  std::size_t told = gave_up().size();
  EXPECT_LT(told, 100u) << "the box is smaller";
  core_.turn();
  told += gave_up().size();
  EXPECT_EQ(told, 100u);
}

TEST_F(GivingUp, EvidenceOfEachViolation) {
  struct Row {
    const char* guest;
    const char* body;
    abi::Violation violation;
    const char* says;
  };
  const Row rows[] = {{"faults", "t", abi::Violation::trap, "unreachable code reached"},
                      {"faults", "d", abi::Violation::trap, "division by zero"},
                      {"faults", "o", abi::Violation::memory, "it has 128 KiB of memory, it may have 1024 KiB"},
                      {"faults", "r", abi::Violation::stack, "the call stack is exhausted"},
                      {"faults", "l", abi::Violation::time, "of CPU time for one message, it may use 2.0 ms"}};
  for (const Row& row : rows) {
    load(row.guest, 5);
    EXPECT_EQ(call(5, row.body).reason(), abi::Reason::broken);
    const auto told = events();
    ASSERT_EQ(told.size(), 1u) << row.says;
    EXPECT_EQ(told[0].header.violation, static_cast<std::uint8_t>(row.violation)) << row.says;
    EXPECT_NE(told[0].body.find(row.says), std::string::npos) << told[0].body;
  }
}

TEST_F(GivingUp, WhatEndsNoInstanceIsCountedAndToldOnceASecond) {
  load("never_reads", 5);
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(call(5, "x").reason(), abi::Reason::broken);
  auto told = take_told(abi::ReplyType::event);
  ASSERT_EQ(told.size(), 1u) << "the first at once";
  EXPECT_EQ(told[0].header.violation, static_cast<std::uint8_t>(abi::Violation::unread));
  EXPECT_EQ(told[0].header.to_slot, 0u) << "nothing was restarted";
  EXPECT_EQ(told[0].body, "1 messages were offered to it twice, and it did not read them");
  told = events();
  ASSERT_EQ(told.size(), 1u) << "the rest after a second";
  EXPECT_EQ(told[0].body, "2 messages were offered to it twice, and it did not read them");
  EXPECT_TRUE(events().empty());
}

TEST_F(GivingUp, SendsThroughHandlesThatItDoesNotHold) {
  load("asks", 5);
  for (const std::uint32_t handle : {4u, 18u, 40u}) {
    pg_message message{};
    message.version = PG_ABI_VERSION;
    message.kind = PG_REQUEST;
    message.to = handle;
    const Reply reply = call(5, std::string(reinterpret_cast<const char*>(&message), sizeof message));
    EXPECT_EQ(reply.body, std::string(1, static_cast<char>(-PG_ERROR_HANDLE)));
  }
  auto told = take_told(abi::ReplyType::event);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].header.violation, static_cast<std::uint8_t>(abi::Violation::handle));
  EXPECT_EQ(told[0].body, "1 sends through handles that it does not hold, the last through 4");
  told = events();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].body, "2 sends through handles that it does not hold, the last through 40");
}

TEST_F(GivingUp, InstancesHaveNumbersOfTheirOwn) {
  load("misbehave", 5);
  std::vector<std::uint32_t> seen;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(call(5, "trap").reason(), abi::Reason::broken);
    core_.clock().skip_us(10'000);
    core_.turn();
    for (const Reply& event : take_told(abi::ReplyType::event)) seen.push_back(event.header.instance);
  }
  ASSERT_GE(seen.size(), 100u);
  std::sort(seen.begin(), seen.end());
  EXPECT_NE(seen.front(), 0u);
  EXPECT_EQ(std::adjacent_find(seen.begin(), seen.end()), seen.end());
}

}  // namespace
}  // namespace pgrid::worker
