// Workers that lie about what their functions ask: each lie costs its worker its place, and nobody else anything.
#include <functional>
#include <random>

#include "tests/dataplane/relay_harness.hpp"

namespace pgrid::test {
namespace {

using abi::Counter;
using abi::Kind;

constexpr auto kRequest = static_cast<std::uint8_t>(Kind::request);

TEST_F(RelayTest, ReplacesAWorkerThatAsksForNonsense) {
  struct Case {
    const char* what;
    std::function<void(abi::WorkerReply&)> change;
  };
  const Case cases[] = {
      {"no hops", [](auto& s) { s.hops = 0; }},
      {"more hops than an honest worker can count to", [](auto& s) { s.hops = abi::kHopsMax + 2; }},
      {"hops 255", [](auto& s) { s.hops = 255; }},
      {"handle 0", [](auto& s) { s.to_slot = 0; }},
      {"its own receive right", [](auto& s) { s.to_slot = 1; }},
      {"the log", [](auto& s) { s.to_slot = 3; }},
      {"the first handle that is none", [](auto& s) { s.to_slot = abi::kHandlesMax; }},
      {"handle all ones", [](auto& s) { s.to_slot = ~0u; }},
      {"another worker's process", [](auto& s) { s.process = kAsked; }},
      {"a process past the table", [](auto& s) { s.process = abi::kProcessesMax; }},
      {"process all ones", [](auto& s) { s.process = ~0u; }},
      {"an answer", [](auto& s) { s.kind = 1; }},
      {"a notice", [](auto& s) { s.kind = 3; }},
      {"kind 255", [](auto& s) { s.kind = 255; }},
  };
  std::uint64_t malformed = 0;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    abi::WorkerReply send = question();
    c.change(send);
    asker->say(send, "body");
    asker->say(question(), "behind it");  // never read
    node.turn();
    EXPECT_EQ(node.counter(Counter::reply_malformed), ++malformed);
    EXPECT_TRUE(faulty());
    EXPECT_FALSE(asker->next());
    node.cells.worker(0, 0).retire();
    node.turn();
    asker = &node.attach_worker(0);
    node.turn();
  }
  EXPECT_EQ(node.counter(Counter::guest_requests), 0u);
  EXPECT_FALSE(asked->next());
  EXPECT_FALSE(faulty(1));
}

TEST_F(RelayTest, MoreWaitingRequestsThanFitIsALie) {
  for (std::uint8_t id = 1; id <= kWaitingMax; ++id) asker->say(question(id));
  node.turn();
  EXPECT_FALSE(faulty());
  asker->say(question());
  node.turn();
  EXPECT_TRUE(faulty());
  EXPECT_EQ(node.counter(Counter::guest_requests), kWaitingMax);
  for (std::uint32_t i = 0; i < kWaitingMax; ++i) asked->answer(*asked->next(), "");
  node.turn();
  EXPECT_EQ(node.counter(Counter::guest_answers_lost), kWaitingMax);
}

TEST_F(RelayTest, AskingOnWithoutTakingAnswersIsALie) {
  for (int i = 0; i < 60; ++i) node.receive(Harness::frame(MessageBuilder().to(Harness::kRight).body(1024)));
  node.turn(2);  // requests have what they may have of the ring
  EXPECT_GT(node.counter(Counter::busy_ring), 0u);
  const auto round = [&] {
    for (std::uint8_t id = 1; id <= kWaitingMax; ++id) asker->say(question(id));
    node.turn();
    while (const auto request = asked->next()) asked->answer(*request, std::string(1024, 'x'));
    node.turn();
  };
  round();  // what came of these still lies there when an honest worker's functions have read it ...
  round();  // ... and asked again
  EXPECT_FALSE(faulty());
  EXPECT_EQ(node.counter(Counter::guest_answers), 2 * kWaitingMax);
  round();
  EXPECT_TRUE(faulty());
  EXPECT_EQ(node.counter(Counter::reply_malformed), 1u);
  EXPECT_GT(node.counter(Counter::guest_answers_lost), 0u);
  EXPECT_EQ(node.counter(Counter::guest_answers) + node.counter(Counter::guest_answers_lost), 3 * kWaitingMax);
}

TEST_F(RelayTest, ACorruptRequestRingIsCountedWhereverItIsFound) {
  asker->say(question());
  const auto request = asked_now();
  asker->request_header().head.value.store(64 * 1000);  // it claims to have read what was never written
  asked->answer(request, std::string(1024, 'x'));
  for (int i = 0; i < 60 && !faulty(); ++i) {
    node.receive(Harness::frame(MessageBuilder().to(Harness::kRight).body(1024)));
    node.turn();
  }
  EXPECT_TRUE(faulty());
  EXPECT_EQ(node.counter(Counter::worker_ring_corrupt), 1u);
  EXPECT_FALSE(faulty(1));

  asked->reply_header().tail.value.store(1);
  node.turn();
  EXPECT_TRUE(faulty(1));
  EXPECT_EQ(node.counter(Counter::worker_ring_corrupt), 2u);
  EXPECT_EQ(node.counter(Counter::reply_malformed), 0u);
}

/// A worker whose records have random bytes in them: every request of the other, honest one is answered once all the same.
TEST_F(RelayTest, SurvivesRandomSends) {
  std::mt19937 random(4646);
  node.handles.begin(43, 1, 1);  // another process of the honest worker
  node.handles.set(43, kHandle, 6, 1);
  node.write_right({6, 1, Harness::kKey}, [](auto& fields) { fields.target = 44, fields.worker = 1; });
  std::uint64_t honest = 0;
  std::uint64_t answered = 0;
  for (int round = 0; round < 3000; ++round) {
    for (int i = 0; i < 3; ++i) {
      abi::WorkerReply send = question();
      auto* bytes = reinterpret_cast<std::uint8_t*>(&send);
      for (int flips = 0; flips < 2; ++flips)
        bytes[4 + random() % 60] = static_cast<std::uint8_t>(random() % 3 == 0 ? 0xff : random() % 32);
      asker->say(send, std::string(random() % 1025, 'x'));
    }
    abi::WorkerReply send = question();
    send.process = 43;
    asked->say(send, "honest");
    ++honest;
    node.turn();
    const auto serve = [&] {
      while (const auto request = asked->next()) {
        answered += request->header.kind != kRequest;
        if (request->header.kind == kRequest && random() % 4 != 0) asked->answer(*request, "ok");
      }
      while (asker->next()) {
      }
    };
    serve();
    node.pass_us(1000);
    node.turn(2);
    serve();
    ASSERT_EQ(honest, answered) << round;
    ASSERT_EQ(node.books(), "") << round;
    ASSERT_FALSE(faulty(1)) << round;
    if (!faulty()) continue;
    node.cells.worker(0, 0).retire();
    node.turn();
    asker = &node.attach_worker(0);
    node.turn();
  }
  EXPECT_GT(node.counter(Counter::reply_malformed), 100u);
  EXPECT_GT(node.counter(Counter::guest_requests), 3000u);
}

}  // namespace
}  // namespace pgrid::test
