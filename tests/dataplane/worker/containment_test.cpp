// Shows that whatever a guest does ends at its own messages: traps, loops, unread messages, made-up handles, wild pointers,
// and memory that the next instance must not see.
#include "tests/dataplane/worker/worker_fixture.hpp"

#include "abi/guest/promisegrid.h"

namespace pgrid::worker {
namespace {

/// Guests answer results of send and receive as one byte: the error negated.
std::string negated(int error) { return std::string(1, static_cast<char>(-error)); }
std::string word(std::uint32_t value) { return std::string(reinterpret_cast<const char*>(&value), sizeof value); }

TEST_F(WorkerTest, TrapBreaksOnlyTheMessageInHand) {
  load("misbehave", 5);
  load("echo", 6);
  request(5, "a", 1);
  request(5, "trap", 2);
  request(5, "b", 3);
  request(6, "c", 4);
  run();
  EXPECT_EQ(answer()->body, "a");
  const auto broken = answer();
  EXPECT_EQ(broken->kind(), abi::Kind::non_commitment);
  EXPECT_EQ(broken->reason(), abi::Reason::broken);
  EXPECT_EQ(broken->header.to_slot, abi::send_once_slot(0, 2));
  EXPECT_EQ(answer()->body, "c");  // the next process's turn
  EXPECT_EQ(answer()->body, "b");  // by the next instance
  EXPECT_FALSE(answer());
  EXPECT_EQ(line().rebuilds.load(), 1u);
  EXPECT_EQ(line().instances.load(), 2u);
}

TEST_F(WorkerTest, TrapIsToldWithNames) {
  load("misbehave", 5);
  EXPECT_EQ(call(5, "trap").reason(), abi::Reason::broken);
  EXPECT_FALSE(answer());  // passes the event
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0].type(), abi::ReplyType::event);
  EXPECT_EQ(told_[0].reason(), abi::Reason::broken);
  EXPECT_EQ(told_[0].header.process, 5u);
  EXPECT_TRUE(told_[0].body.starts_with("unreachable code reached, in trap_here at 0x")) << told_[0].body;
}

TEST_F(WorkerTest, LoopIsStoppedAndOthersServed) {
  load("misbehave", 5);
  load("echo", 6);
  request(5, "loop", 1);
  request(6, "x", 2);
  run();
  EXPECT_EQ(answer()->reason(), abi::Reason::broken);
  EXPECT_EQ(answer()->body, "x");
  EXPECT_EQ(call(5, "y").body, "y");
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_TRUE(told_[0].body.starts_with("the time limit passed, in loop_here")) << told_[0].body;
}

TEST_F(WorkerTest, LoopAtLoadIsStopped) {
  for (const char* guest : {"init_loops", "start_loops"}) {
    const auto attached = core_.attach(slot(guest, 5));
    EXPECT_FALSE(attached.ok);
    EXPECT_NE(attached.text.find("the time limit passed"), std::string::npos) << attached.text;
    ASSERT_NE(attached.slot, nullptr);
    EXPECT_EQ(call(5, "x").reason(), abi::Reason::busy);
  }
  EXPECT_EQ(line().instances.load(), 0u);
}

TEST_F(WorkerTest, NeverReadIsBrokenAfterTwoOffers) {
  load("never_reads", 5);
  request(5, "x", 1);
  ASSERT_TRUE(core_.turn());
  EXPECT_FALSE(answer());
  ASSERT_TRUE(core_.turn());
  const auto found = answer();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->reason(), abi::Reason::broken);
  EXPECT_FALSE(core_.turn());
}

TEST_F(WorkerTest, UnreadBeyondTheWindowWasNotOffered) {
  load("never_reads", 5);
  for (std::uint32_t i = 0; i < 40; ++i) request(5, "x", i);
  core_.turn();
  core_.turn();
  std::uint32_t broken = 0;
  while (answer()) ++broken;
  EXPECT_EQ(broken, kActivationMax);
  core_.turn();
  EXPECT_FALSE(answer());
  core_.turn();
  while (answer()) ++broken;
  EXPECT_EQ(broken, 40u);
}

TEST_F(WorkerTest, ReadingOneAtATimeLosesWhatIsLeftTwice) {
  load("reads_one", 5);
  for (std::uint32_t i = 0; i < 4; ++i) request(5, "x", i);
  run();
  EXPECT_EQ(answer()->kind(), abi::Kind::answer);
  EXPECT_EQ(answer()->kind(), abi::Kind::answer);
  EXPECT_EQ(answer()->reason(), abi::Reason::broken);
  EXPECT_EQ(answer()->reason(), abi::Reason::broken);
  EXPECT_FALSE(answer());
}

TEST_F(WorkerTest, TrapBeforeReadingEnds) {
  load("traps_before_reading", 5);
  EXPECT_EQ(call(5, "x").reason(), abi::Reason::broken);
  EXPECT_EQ(line().rebuilds.load(), 2u);  // two instances were offered it
  EXPECT_FALSE(core_.turn());
}

TEST_F(WorkerTest, EveryInstanceBeginsWithInit) {
  load("init_logs", 5);
  EXPECT_EQ(call(5, "x").reason(), abi::Reason::broken);
  EXPECT_FALSE(answer());
  std::uint32_t started = 0;
  for (const Reply& one : told_) started += one.type() == abi::ReplyType::log && one.body == "started";
  EXPECT_EQ(started, 2u);
}

TEST_F(WorkerTest, AnswerCountsOnce) {
  load("answers_twice", 5);
  EXPECT_EQ(call(5, "x").body, "x");
  EXPECT_FALSE(answer());
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0].body, negated(PG_ERROR_HANDLE));
}

TEST_F(WorkerTest, DeferredAnswerReachesItsRequest) {
  load("defers", 5);
  request(5, "first", 1, 0);
  run();
  EXPECT_FALSE(answer(0));
  request(5, "second", 1, 1);
  run();
  const auto found = answer(0);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->body, "second");
  EXPECT_EQ(found->header.to_slot, abi::send_once_slot(0, 1));
  EXPECT_FALSE(answer(1));
}

TEST_F(WorkerTest, TrapFailsWhatWasDeferred) {
  load("defers", 5);
  request(5, "kept", 1);
  run();
  request(5, "trap", 2);
  request(5, "for the next", 3);
  request(5, "and its answer", 4);
  run();
  const auto in_hand = answer();
  EXPECT_EQ(in_hand->reason(), abi::Reason::broken);
  EXPECT_EQ(in_hand->header.to_slot, abi::send_once_slot(0, 2));
  const auto earlier = answer();
  EXPECT_EQ(earlier->reason(), abi::Reason::process_failed);
  EXPECT_EQ(earlier->header.to_slot, abi::send_once_slot(0, 1));
  const auto next = answer();  // the new instance holds no old handle
  EXPECT_EQ(next->body, "and its answer");
  EXPECT_EQ(next->header.to_slot, abi::send_once_slot(0, 3));
  EXPECT_FALSE(answer());
}

TEST_F(WorkerTest, HandlesOfOthersAndOldOnesAreNone) {
  load("defers", 5);
  request(5, "kept", 9, 1, 0x12345);
  run();
  load("answers_named_handle", 6);
  const std::uint32_t foreign = ReplyHandle(abi::send_once_slot(1, 9), 0x12345).value();
  EXPECT_EQ(call(6, word(foreign)).body, negated(PG_ERROR_HANDLE));
  for (const std::uint32_t made_up : {0u, 1u, 4u, 77u, 0x8000'0000u, 0xffff'ffffu, 0x8000'0000u | 7u << 14})
    EXPECT_EQ(call(6, word(made_up)).body, negated(PG_ERROR_HANDLE)) << made_up;
  for (const std::uint32_t other : {PG_HANDLE_LOG, PG_HANDLE_CONTROL})  // an answer to one of those
    EXPECT_EQ(call(6, word(other)).body, negated(PG_ERROR_MESSAGE));
  EXPECT_FALSE(answer(1));

  // Its own, already answered.
  load("tells_handle", 7);
  const std::string old = call(7, "x", 3).body;
  load("answers_named_handle", 7, 2);
  EXPECT_EQ(call(7, old, 4).body, negated(PG_ERROR_HANDLE)) << "answered before";
}

TEST_F(WorkerTest, StaleGenerationIsNone) {
  load("defers", 5);
  request(5, "past its deadline", 1, 0, 1);
  run();
  load("answers_named_handle", 5, 2);
  while (answer()) {
  }
  const std::uint32_t old = ReplyHandle(abi::send_once_slot(0, 1), 1).value();
  request(5, word(old), 1, 0, 2);  // the same entry, a newer request
  run();
  EXPECT_EQ(answer()->body, negated(PG_ERROR_HANDLE));
}

TEST_F(WorkerTest, WildPointersAndLengths) {
  load("wild_calls", 5);
  const auto calls = [&](char what, std::uint32_t pointer, std::uint32_t length) {
    return call(5, word(pointer) + word(length) + what).body;
  };
  constexpr std::uint32_t kEnd = 2 * 65536;
  for (const std::uint32_t pointer : {kEnd, kEnd - 63, 0x7fff'ffffu, 0x8000'0000u, 0xffff'ffffu, 0xffff'ffc0u})
    EXPECT_EQ(calls('s', pointer, 64), negated(PG_ERROR_POINTER)) << pointer;
  EXPECT_NE(calls('s', kEnd - 64, 64), negated(PG_ERROR_POINTER));
  for (const std::uint32_t length : {0u, 1u, 63u, 1089u, 0x8000'0000u, 0xffff'ffffu})
    EXPECT_EQ(calls('s', 0, length), negated(PG_ERROR_LENGTH)) << length;
  EXPECT_EQ(calls('r', 0xffff'ffffu, 0xffff'ffffu), negated(0));  // nothing waits, so nothing is written
  EXPECT_EQ(line().rebuilds.load(), 0u);
}

TEST_F(WorkerTest, WildReceiveLosesNothing) {
  load("wild_calls", 5);
  // The first message makes the guest receive the second one into nowhere; the loop then receives it properly.
  request(5, word(0xffff'ffc0u) + word(1088) + 'r', 1);
  request(5, word(0) + word(0) + 's', 2);
  run();
  EXPECT_EQ(answer()->body, negated(PG_ERROR_POINTER));
  EXPECT_EQ(answer()->body, negated(PG_ERROR_LENGTH));
  request(5, word(0) + word(64) + 'r', 1);  // too small for 64 + 9
  request(5, word(0) + word(0) + 's', 2);
  run();
  EXPECT_EQ(answer()->body, negated(PG_ERROR_LENGTH));
  EXPECT_EQ(answer()->body, negated(PG_ERROR_LENGTH));
}

TEST_F(WorkerTest, MalformedMessages) {
  load("sends_body", 5);
  const auto sends = [&](auto change) {
    pg_message message{};
    message.version = PG_ABI_VERSION;
    message.kind = PG_NOTICE;
    message.to = PG_HANDLE_LOG;
    change(message);
    return call(5, std::string(reinterpret_cast<const char*>(&message), sizeof message)).body;
  };
  EXPECT_EQ(sends([](pg_message&) {}), negated(0));
  EXPECT_EQ(sends([](pg_message& m) { m.version = 2; }), negated(PG_ERROR_MESSAGE));
  EXPECT_EQ(sends([](pg_message& m) { m.kind = 4; }), negated(PG_ERROR_MESSAGE));
  EXPECT_EQ(sends([](pg_message& m) { m.kind = PG_REQUEST; }), negated(PG_ERROR_MESSAGE));
  EXPECT_EQ(sends([](pg_message& m) { m.reason = 11; }), negated(PG_ERROR_MESSAGE));
  EXPECT_EQ(sends([](pg_message& m) { m.label = 1; }), negated(PG_ERROR_MESSAGE));
  EXPECT_EQ(sends([](pg_message& m) { m.reserved[1] = 1; }), negated(PG_ERROR_MESSAGE));
  EXPECT_EQ(sends([](pg_message& m) { m.body_length = 1; }), negated(PG_ERROR_LENGTH));
  EXPECT_EQ(sends([](pg_message& m) { m.body_length = 0xffff'ffff; }), negated(PG_ERROR_LENGTH));
  EXPECT_EQ(sends([](pg_message& m) { m.rights[2] = 1; }), negated(0)) << "without a mode nothing is carried";
  EXPECT_EQ(sends([](pg_message& m) { m.rights_mode[2] = 1; }), negated(PG_ERROR_MESSAGE)) << "a gap";
  EXPECT_EQ(sends([](pg_message& m) { m.rights_mode[0] = 3; }), negated(PG_ERROR_MESSAGE));
  EXPECT_EQ(sends([](pg_message& m) { m.rights_mode[0] = 1; }), negated(PG_ERROR_HANDLE));
  EXPECT_EQ(sends([](pg_message& m) { m.to = PG_HANDLE_CONTROL; }), negated(PG_ERROR_MESSAGE)) << "a notice to control";
}

TEST_F(WorkerTest, NextInstanceSeesNoOldBytes) {
  load("memory_probe", 5);
  EXPECT_EQ(call(5, "read").body, std::string(1, 0));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(call(5, "write").reason(), abi::Reason::broken);
    EXPECT_EQ(call(5, "read").body, std::string(1, 0));
  }
  // Nor does another process that gets the same place in the pool.
  EXPECT_EQ(call(5, "write").reason(), abi::Reason::broken);
  ASSERT_NE(core_.detach(5, 1), nullptr);
  load("memory_probe", 6);
  EXPECT_EQ(call(6, "read").body, std::string(1, 0));
}

TEST_F(WorkerTest, LogLines) {
  load("logs", 5);
  EXPECT_EQ(call(5, "a line").body, negated(0));
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0].type(), abi::ReplyType::log);
  EXPECT_EQ(told_[0].body, "a line");
}

TEST_F(WorkerTest, LogLinesLeaveRoomForAnswers) {
  load("logs", 5);
  const std::string line(1024, 'x');
  std::uint32_t busy = 0;
  std::uint32_t answers = 0;
  for (std::uint32_t i = 0; i < 256; ++i) {  // nobody reads the ring meanwhile
    request(5, line, i);
    run();
  }
  for (auto one = reply(); one; one = reply()) {
    if (one->type() != abi::ReplyType::answer) continue;
    ++answers;
    busy += one->body == negated(PG_ERROR_BUSY);
  }
  EXPECT_EQ(answers, 256u);
  EXPECT_GT(busy, 0u);
}

}  // namespace
}  // namespace pgrid::worker
