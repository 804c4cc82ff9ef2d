// Shows that a worker core answers requests through guests: each message once, through the ring it came from, in order,
// and that what cannot be served is refused with its reason.
#include "tests/dataplane/worker/worker_fixture.hpp"

namespace pgrid::worker {
namespace {

TEST_F(WorkerTest, EchoAnswers) {
  load("echo", 5);
  request(5, "hello", 17, 1);
  ASSERT_TRUE(core_.turn());
  EXPECT_FALSE(answer(0));
  const auto found = answer(1);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->type(), abi::ReplyType::answer);
  EXPECT_EQ(found->kind(), abi::Kind::answer);
  EXPECT_EQ(found->reason(), abi::Reason::none);
  EXPECT_EQ(found->body, "hello");
  EXPECT_EQ(found->header.process, 5u);
  EXPECT_EQ(found->header.to_slot, abi::send_once_slot(1, 17));
  EXPECT_EQ(found->header.to_generation, 7u);
  EXPECT_FALSE(answer(1));
  EXPECT_EQ(line().handled.load(), 1u);
  EXPECT_FALSE(core_.turn());
}

TEST_F(WorkerTest, BodiesOfEverySize) {
  load("echo", 5);
  for (const std::size_t size : {0, 1, 63, 64, 65, 1023, 1024})
    EXPECT_EQ(call(5, std::string(size, 'x')).body, std::string(size, 'x'));
}

TEST_F(WorkerTest, BatchIsAnsweredInOrder) {
  load("echo", 5);
  for (std::uint32_t i = 0; i < 60; ++i) request(5, "message " + std::to_string(i), i);
  run();
  for (std::uint32_t i = 0; i < 60; ++i) {
    const auto found = answer();
    ASSERT_TRUE(found) << i;
    EXPECT_EQ(found->body, "message " + std::to_string(i));
  }
  EXPECT_FALSE(answer());
}

TEST_F(WorkerTest, ActivationReadsAtMost32) {
  load("echo", 5);
  for (std::uint32_t i = 0; i < 40; ++i) request(5, "x", i);
  ASSERT_TRUE(core_.turn());
  std::uint32_t answered = 0;
  while (answer()) ++answered;
  EXPECT_EQ(answered, kActivationMax);
  ASSERT_TRUE(core_.turn());
  while (answer()) ++answered;
  EXPECT_EQ(answered, 40u);
}

TEST_F(WorkerTest, FullMailboxIsBusy) {
  load("echo", 5);
  for (std::uint32_t i = 0; i < 65; ++i) request(5, "x", i);  // its mailbox takes 64
  run();
  const auto first = answer();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->reason(), abi::Reason::busy);
  EXPECT_EQ(first->header.to_slot, abi::send_once_slot(0, 64));
  std::uint32_t answered = 0;
  while (const auto found = answer()) answered += found->kind() == abi::Kind::answer;
  EXPECT_EQ(answered, 64u);
}

TEST_F(WorkerTest, UnknownProcessIsBusy) {
  EXPECT_EQ(call(6, "x").reason(), abi::Reason::busy);
  EXPECT_EQ(call(abi::kProcessesMax + 3, "x").reason(), abi::Reason::busy);
}

TEST_F(WorkerTest, RightsOfAnotherCoreAreNotAnswered) {
  load("echo", 5);
  abi::WorkerRequest header{};
  header.process = 5;
  header.reply_slot = abi::send_once_slot(1, 3);  // in core 0's ring
  write(header, "x", 0);
  header.reply_slot = abi::send_once_slot(0, kGeometry.in_flight);  // beyond the table
  write(header, "x", 0);
  run();
  EXPECT_EQ(line().handled.load(), 2u);
  EXPECT_FALSE(answer(0));
  EXPECT_FALSE(answer(1));
}

TEST_F(WorkerTest, UnloadFailsWhatWaits) {
  load("defers", 5);
  request(5, "read, not answered", 1);
  run();
  request(5, "x", 2);
  EXPECT_EQ(core_.detach(5, 99), nullptr);  // another generation
  ASSERT_NE(core_.detach(5, 1), nullptr);
  const auto held = answer();
  ASSERT_TRUE(held);
  EXPECT_EQ(held->reason(), abi::Reason::process_failed);
  EXPECT_EQ(held->header.to_slot, abi::send_once_slot(0, 1));
  run();
  const auto waiting = answer();
  ASSERT_TRUE(waiting);
  EXPECT_EQ(waiting->reason(), abi::Reason::busy);
  EXPECT_EQ(line().instances.load(), 0u);
}

TEST_F(WorkerTest, LoadReplaces) {
  load("never_reads", 5, 1);
  load("echo", 5, 2);
  EXPECT_EQ(call(5, "x").body, "x");
  EXPECT_EQ(line().instances.load(), 1u);
}

TEST_F(WorkerTest, HeartbeatRises) {
  load("echo", 5);
  const auto before = line().heartbeat.load();
  call(5, "x");
  core_.beat();
  EXPECT_EQ(line().heartbeat.load(), before + 2);
}

TEST_F(WorkerTest, CorruptRingIsNoticed) {
  load("echo", 5);
  auto* header = reinterpret_cast<abi::RingHeader*>(segment_ + abi::request_ring_offset(kGeometry, 0));
  header->tail.value.store(kGeometry.request_ring * 4ull);
  EXPECT_FALSE(core_.turn());
  EXPECT_TRUE(core_.corrupt());
}

}  // namespace
}  // namespace pgrid::worker
