// A whole poll core, from frame to frame: exactly one answer for each request, the right
// one, and books that balance.
#include "dataplane/poll_core.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "tests/dataplane/harness.hpp"

namespace pgrid::test {
namespace {

using abi::Counter;
using abi::Kind;
using abi::Reason;
using dataplane::Phase;

class PollCore : public testing::Test {
 protected:
  ~PollCore() override {
    EXPECT_EQ(node.books(), "");
    node.cores[0]->finish();
    node.take_sent();
    EXPECT_EQ(node.nics[0].packets_alive, 0) << "packets were leaked";
    EXPECT_EQ(node.books(), "");
    EXPECT_EQ(node.cores[0]->in_flight().in_use(), 0u);
  }
  /// The one message sent since the last call.
  SentMessage only_answer() {
    const auto sent = node.take_sent();
    EXPECT_EQ(sent.size(), 1u);
    return sent.empty() ? SentMessage{} : sent[0];
  }
  FakeWorker::Request dispatched(FakeWorker& worker, std::string_view body = "hello") {
    node.receive(Harness::request(body));
    node.turn();
    auto request = worker.next();
    EXPECT_TRUE(request);
    return request.value_or(FakeWorker::Request{});
  }

  Harness node;
};

TEST_F(PollCore, CarriesARequestToItsWorkerAndTheAnswerBack) {
  FakeWorker& worker = node.attach_worker();
  const auto request = dispatched(worker, "ping");
  EXPECT_EQ(request.body, "ping");
  EXPECT_EQ(request.header.process, 41u);
  EXPECT_EQ(request.header.label, 0xfeedu);
  EXPECT_EQ(request.header.deadline_us, 1000u);
  EXPECT_EQ(request.header.dispatched_tsc, node.nics[0].now);
  EXPECT_TRUE(
      std::equal(std::begin(request.header.id), std::end(request.header.id), MessageBuilder::kId.begin()));
  EXPECT_EQ(node.nics[0].packets_alive, 0) << "the packet is freed at dispatch";
  EXPECT_TRUE(node.take_sent().empty());

  node.pass_us(5);
  worker.answer(request, "pong");
  node.turn();
  const SentMessage answer = only_answer();
  EXPECT_EQ(answer.kind, Kind::answer);
  EXPECT_EQ(answer.reason, Reason::none);
  EXPECT_EQ(answer.id, MessageBuilder::kId);
  EXPECT_EQ(answer.body, "pong");
  EXPECT_EQ(node.counter(Counter::answered), 1u);
  EXPECT_EQ(node.stats.poll_core(0).latency[abi::latency_bucket(5000)].load(), 1u);
  EXPECT_EQ(node.stats.accounts(0)[3].kept.load(), 1u);
  EXPECT_EQ(node.stats.accounts(0)[3].in_flight.load(), 0u);
}

TEST_F(PollCore, AnswersOverEveryKindOfFrame) {
  FakeWorker& worker = node.attach_worker();
  for (const Variant variant : {Variant{4, false}, Variant{4, true}, Variant{6, false}, Variant{6, true}}) {
    for (const std::size_t length : {0u, 1u, 63u, 64u, 300u, 1024u}) {
      node.receive(Harness::frame(MessageBuilder().to(Harness::kRight).body(length), variant));
      node.turn();
      const auto request = worker.next();
      ASSERT_TRUE(request) << variant.name() << " " << length;
      worker.answer(*request, request->body);
      node.turn();
      EXPECT_EQ(only_answer().body, std::string(length, 'b')) << variant.name();
    }
  }
}

TEST_F(PollCore, EveryOutcomeOfAWorkerReachesItsSender) {
  FakeWorker& worker = node.attach_worker();
  const std::pair<Reason, Counter> outcomes[] = {{Reason::declined, Counter::declined},
                                                 {Reason::broken, Counter::broken},
                                                 {Reason::process_failed, Counter::process_failed},
                                                 {Reason::busy, Counter::busy_mailbox}};
  for (const auto& [reason, counter] : outcomes) {
    worker.refuse(dispatched(worker), reason);
    node.turn();
    const SentMessage answer = only_answer();
    EXPECT_EQ(answer.kind, Kind::non_commitment);
    EXPECT_EQ(abi::name_of(answer.reason), abi::name_of(reason));
    EXPECT_EQ(node.counter(counter), 1u) << abi::name_of(counter);
  }
  const abi::RightAccount& account = node.stats.accounts(0)[3];
  EXPECT_EQ(account.declined.load(), 1u);
  EXPECT_EQ(account.broken.load(), 2u);
  EXPECT_EQ(account.refused.load(), 1u);
}

TEST_F(PollCore, AFunctionCannotPretendToBeTheNode) {
  FakeWorker& worker = node.attach_worker();
  for (const Reason reason : {Reason::unknown_protocol, Reason::no_such_right, Reason::not_permitted,
                              Reason::quota_exceeded, Reason::too_large, Reason::no_answer}) {
    worker.refuse(dispatched(worker), reason);
    node.turn();
    EXPECT_EQ(abi::name_of(only_answer().reason), "declined") << abi::name_of(reason);
  }
  EXPECT_EQ(node.counter(Counter::declined), 6u);
  EXPECT_FALSE(node.cells.worker(0, 0).faulty.load()) << "one function's words must not cost the others their worker";
}

TEST_F(PollCore, DeadlineIsWhatWasAskedClampedToTheRight) {
  FakeWorker& worker = node.attach_worker();
  const std::pair<std::uint32_t, std::uint32_t> asked_given[] = {{0, 1000},    {1, 1},       {999, 999},
                                                                 {1000, 1000}, {1001, 1000}, {~0u, 1000}};
  for (const auto& [asked, given] : asked_given) {
    node.receive(Harness::frame(MessageBuilder().to(Harness::kRight).deadline_us(asked)));
    node.turn();
    const auto request = worker.next();
    ASSERT_TRUE(request);
    EXPECT_EQ(request->header.deadline_us, given) << asked;
    node.pass_us(given);
    node.turn();
    EXPECT_EQ(only_answer().reason, Reason::no_answer) << asked;
  }
}

TEST_F(PollCore, ALateReplyIsCountedAndGoesNowhere) {
  FakeWorker& worker = node.attach_worker();
  const auto request = dispatched(worker);
  node.pass_us(1000);
  node.turn();
  EXPECT_EQ(only_answer().reason, Reason::no_answer);
  worker.answer(request, "too late");
  node.turn();
  EXPECT_TRUE(node.take_sent().empty());
  EXPECT_EQ(node.counter(Counter::late_reply), 1u);
  EXPECT_EQ(node.counter(Counter::reply_malformed), 0u);
  worker.answer(dispatched(worker), "in time");  // the link still works
  node.turn();
  EXPECT_EQ(only_answer().body, "in time");
}

TEST_F(PollCore, AnswersOnceHoweverOftenTheWorkerDoes) {
  FakeWorker& worker = node.attach_worker();
  const auto request = dispatched(worker);
  for (int i = 0; i < 5; ++i) worker.answer(request, "again");
  node.turn();
  EXPECT_EQ(node.take_sent().size(), 1u);
  EXPECT_EQ(node.counter(Counter::late_reply), 4u);
}

TEST_F(PollCore, SaysBusyUnlessTheWorkerServes) {
  node.receive(Harness::request());
  node.turn();
  EXPECT_EQ(only_answer().reason, Reason::busy);  // absent
  node.attach_worker();
  node.cells.worker(0, 0).serving = false;
  node.receive(Harness::request());
  node.turn();
  EXPECT_EQ(only_answer().reason, Reason::busy);  // starting
  EXPECT_EQ(node.counter(Counter::busy_worker), 2u);
  node.write_right(Harness::kRight, [](abi::RightFields& fields) { fields.worker = 65535; });
  node.receive(Harness::request());
  node.turn();
  EXPECT_EQ(only_answer().reason, Reason::busy);  // no such worker
  EXPECT_EQ(node.counter(Counter::busy_worker), 3u);
  EXPECT_EQ(node.stats.accounts(0)[3].refused.load(), 3u);
}

TEST_F(PollCore, CapsWhatWaitsPerRight) {
  FakeWorker& worker = node.attach_worker();
  node.write_right(Harness::kRight, [](abi::RightFields& fields) { fields.in_flight_max = 2; });
  for (int i = 0; i < 3; ++i) node.receive(Harness::request());
  node.turn();
  EXPECT_EQ(only_answer().reason, Reason::busy);
  EXPECT_EQ(node.counter(Counter::busy_right), 1u);
  worker.answer(*worker.next(), "");
  node.receive(Harness::request());
  node.turn(2);
  EXPECT_EQ(node.counter(Counter::busy_right), 2u) << "received before the answer was collected";
  node.receive(Harness::request());
  node.turn();
  EXPECT_EQ(node.counter(Counter::dispatched), 3u);
}

TEST_F(PollCore, SaysBusyWhenTheTableIsFull) {
  node.attach_worker();
  for (int i = 0; i < 65; ++i) node.receive(Harness::request());
  node.turn(3);
  EXPECT_EQ(only_answer().reason, Reason::busy);
  EXPECT_EQ(node.counter(Counter::busy_in_flight), 1u);
  EXPECT_EQ(node.counter(Counter::dispatched), 64u);
}

TEST_F(PollCore, SaysBusyWhenTheRingIsFull) {
  node.attach_worker();
  for (int i = 0; i < 12; ++i) node.receive(Harness::frame(MessageBuilder().to(Harness::kRight).body(1024)));
  node.turn();
  EXPECT_EQ(node.counter(Counter::dispatched), 11u) << "12 of 16 KiB, a quarter is kept: 11 records of 1,088 bytes";
  EXPECT_EQ(node.counter(Counter::busy_ring), 1u);
  EXPECT_EQ(only_answer().reason, Reason::busy);
}

TEST_F(PollCore, AWorkersDeathAnswersWhatItHadAndNothingTwice) {
  FakeWorker& worker = node.attach_worker();
  FakeWorker& neighbour = node.attach_worker(1);
  const wire::RightRef other{4, 1, Harness::kKey};
  node.write_right(other, [](abi::RightFields& fields) { fields.worker = 1; });
  for (int i = 0; i < 10; ++i) node.receive(Harness::request());
  node.receive(Harness::frame(MessageBuilder().to(other)));
  node.turn();
  worker.answer(*worker.next(), "its last words");
  node.cells.worker(0, 0).retire();
  node.receive(Harness::request());
  node.turn();

  const auto sent = node.take_sent();
  ASSERT_EQ(sent.size(), 11u);
  int said = 0, failed = 0, busy = 0;
  for (const SentMessage& message : sent) {
    said += message.kind == Kind::answer;
    failed += message.reason == Reason::process_failed;
    busy += message.reason == Reason::busy;
  }
  EXPECT_EQ(said, 1) << "what it published before it died still counts";
  EXPECT_EQ(failed, 9);
  EXPECT_EQ(busy, 1);
  EXPECT_TRUE(node.cells.worker(0, 0).is_empty()) << "the helper may unmap its memory";
  EXPECT_EQ(node.counter(Counter::worker_deaths), 1u);

  const auto untouched = neighbour.next();
  ASSERT_TRUE(untouched);
  neighbour.answer(*untouched, "I am well");
  node.turn();
  EXPECT_EQ(only_answer().body, "I am well");

  FakeWorker& successor = node.attach_worker();
  successor.answer(dispatched(successor), "new");
  node.turn();
  EXPECT_EQ(only_answer().body, "new");
}

TEST_F(PollCore, ManyMessagesOfADeadWorkerTakeSeveralTurns) {
  Harness big(abi::Geometry{1, 1, 16, 1024, 1u << 20, 4u << 20, 8192, 4});
  big.attach_worker();
  for (int i = 0; i < 300; ++i) big.receive(Harness::request());
  big.turn(10);
  EXPECT_EQ(big.counter(Counter::dispatched), 300u);
  big.cells.worker(0, 0).retire();
  big.turn();
  EXPECT_FALSE(big.cells.worker(0, 0).is_empty()) << "other duties are not kept waiting";
  big.turn(10);
  EXPECT_TRUE(big.cells.worker(0, 0).is_empty());
  EXPECT_EQ(big.take_sent().size(), 300u);
  EXPECT_EQ(big.books(), "");
}

// ---- hostile workers

TEST_F(PollCore, ReplacesAWorkerThatWritesNonsense) {
  struct Case {
    const char* what;
    std::function<void(abi::WorkerReply&)> change;
  };
  const Case cases[] = {
      {"type 0", [](auto& r) { r.type = 0; }},
      {"type 255", [](auto& r) { r.type = 255; }},
      {"kind request", [](auto& r) { r.kind = 0; }},
      {"kind notice", [](auto& r) { r.kind = 3; }},
      {"kind 255", [](auto& r) { r.kind = 255; }},
      {"an answer with a reason", [](auto& r) { r.reason = 7; }},
      {"a non-commitment without", [](auto& r) { r.kind = 2; }},
      {"the first reason that is none", [](auto& r) { r.kind = 2, r.reason = abi::kReasonCount; }},
      {"reason 65535", [](auto& r) { r.kind = 2, r.reason = 65535; }},
      {"an event with reason 65535", [](auto& r) { r.type = 4, r.reason = 65535; }},
      {"slot 0", [](auto& r) { r.to_slot = 0; }},
      {"slot all ones", [](auto& r) { r.to_slot = ~0u; }},
      {"an entry that is free", [](auto& r) { r.to_slot += 1; }},
      {"an entry past the table", [](auto& r) { r.to_slot += 64; }},
      {"another poll core's slot", [](auto& r) { r.to_slot |= 1u << 14; }},
      {"spare bits", [](auto& r) { r.to_slot |= 1u << 25; }},
      {"a generation to come", [](auto& r) { r.to_generation += 1; }},
      {"another process", [](auto& r) { r.process += 1; }},
      {"process all ones", [](auto& r) { r.process = ~0u; }},
  };
  std::uint64_t malformed = 0;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    FakeWorker& worker = node.attach_worker();
    const auto request = dispatched(worker);
    abi::WorkerReply reply = FakeWorker::answer_to(request.header);
    c.change(reply);
    worker.say(reply, "body");
    worker.answer(request, "behind it");  // never read: the worker has lost its credit
    node.turn();
    EXPECT_EQ(node.counter(Counter::reply_malformed), ++malformed);
    EXPECT_TRUE(node.take_sent().empty());
    EXPECT_TRUE(node.cells.worker(0, 0).faulty.load());
    node.receive(Harness::request());
    node.turn();
    EXPECT_EQ(only_answer().reason, Reason::busy) << "nothing more is given to it";
    node.cells.worker(0, 0).retire();
    node.turn();
    EXPECT_EQ(only_answer().reason, Reason::process_failed);
    EXPECT_TRUE(node.cells.worker(0, 0).is_empty());
  }
}

TEST_F(PollCore, AWorkerCannotAnswerForItsNeighbour) {
  FakeWorker& worker = node.attach_worker();
  FakeWorker& neighbour = node.attach_worker(1);
  const auto request = dispatched(worker);
  neighbour.answer(request, "mine");
  node.turn();
  EXPECT_TRUE(node.take_sent().empty());
  EXPECT_TRUE(node.cells.worker(0, 1).faulty.load());
  EXPECT_FALSE(node.cells.worker(0, 0).faulty.load());
  worker.answer(request, "no, mine");
  node.turn();
  EXPECT_EQ(only_answer().body, "no, mine");
}

TEST_F(PollCore, SurvivesImpossibleRingIndices) {
  for (const std::uint64_t tail :
       {~std::uint64_t{0}, std::uint64_t{1} << 63, std::uint64_t{1}, std::uint64_t{131136}}) {
    FakeWorker& worker = node.attach_worker();
    dispatched(worker);
    worker.reply_header().tail.value.store(tail);
    node.turn();
    EXPECT_TRUE(node.cells.worker(0, 0).faulty.load()) << tail;
    node.cells.worker(0, 0).retire();
    node.turn();
    EXPECT_EQ(only_answer().reason, Reason::process_failed);
  }
  FakeWorker& worker = node.attach_worker();  // the other way: it claims to have read what was never written
  node.turn();
  worker.request_header().head.value.store(64 * 1000);
  for (int i = 0; i < 200 && !node.cells.worker(0, 0).faulty.load(); ++i) {
    node.receive(Harness::frame(MessageBuilder().to(Harness::kRight).body(1024)));
    node.turn();
  }
  EXPECT_TRUE(node.cells.worker(0, 0).faulty.load());
  node.cells.worker(0, 0).retire();
  node.turn();
  node.take_sent();
}

TEST_F(PollCore, SurvivesRandomRecords) {
  std::mt19937 random(4646);
  for (int round = 0; round < 2000; ++round) {
    FakeWorker& worker = node.attach_worker();
    const auto request = dispatched(worker);
    abi::WorkerReply reply = FakeWorker::answer_to(request.header);
    auto* bytes = reinterpret_cast<std::uint8_t*>(&reply);
    for (int flips = 0; flips < 3; ++flips)
      bytes[4 + random() % 60] = static_cast<std::uint8_t>(random() % 3 == 0 ? 0xff : random());
    worker.say(reply, std::string(random() % 1025, 'x'));
    if (random() % 8 == 0) worker.reply_header().tail.value.fetch_add(random());
    node.turn();
    node.cells.worker(0, 0).retire();
    node.turn(2);
    ASSERT_EQ(node.take_sent().size(), 1u)
        << "exactly one answer, whatever the worker wrote, round " << round;
    ASSERT_EQ(node.books(), "") << round;
  }
}

// ---- control

abi::ControlRequest control_request(const wire::RightRef& right) {
  abi::ControlRequest request{};
  request.type = static_cast<std::uint8_t>(abi::ControlRequestType::message);
  request.slot = right.slot;
  request.generation = right.generation;
  std::memcpy(request.key, right.key.data(), sizeof request.key);
  request.id[0] = 42;
  return request;
}

TEST_F(PollCore, ControlAsksAndIsAnswered) {
  FakeWorker& worker = node.attach_worker();
  FakeControl& control = node.attach_control();
  node.turn();
  control.ask(control_request(Harness::kRight), "from control");
  node.turn();
  const auto request = worker.next();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->body, "from control");
  node.pass_us(7);
  worker.answer(*request, "to control");
  node.turn();
  const auto event = control.next();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->header.type, static_cast<std::uint8_t>(abi::ControlEventType::answer));
  EXPECT_EQ(event->header.kind, static_cast<std::uint8_t>(Kind::answer));
  EXPECT_EQ(event->header.id[0], 42);
  EXPECT_EQ(event->header.process, 41u);
  EXPECT_EQ(event->header.elapsed_ns, 7000u);
  EXPECT_EQ(event->body, "to control");
  EXPECT_TRUE(node.take_sent().empty()) << "nothing of this goes to the wire";

  control.ask(control_request({3, 6, Harness::kKey}), "");
  node.turn();
  const auto refused = control.next();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->header.reason, static_cast<std::uint16_t>(Reason::no_such_right));
  EXPECT_EQ(node.counter(Counter::control_requests), 2u);
}

TEST_F(PollCore, AnAnswerForAControlThatIsGoneIsCountedAsLost) {
  FakeWorker& worker = node.attach_worker();
  FakeControl& first = node.attach_control();
  node.turn();
  first.ask(control_request(Harness::kRight), "one");
  first.ask(control_request(Harness::kRight), "two");
  node.turn();
  node.cells.control(0).retire();
  node.turn();
  EXPECT_TRUE(node.cells.control(0).is_empty());
  worker.answer(*worker.next(), "nobody hears this");
  node.turn();
  EXPECT_EQ(node.counter(Counter::control_answer_lost), 1u);
  FakeControl& second = node.attach_control();
  worker.answer(*worker.next(), "this was not asked by the new one");
  node.turn();
  EXPECT_FALSE(second.next());
  EXPECT_EQ(node.counter(Counter::control_answer_lost), 2u);
  EXPECT_EQ(node.counter(Counter::answered), 2u);
}

TEST_F(PollCore, AHostileControlHurtsOnlyItself) {
  FakeWorker& worker = node.attach_worker();
  std::mt19937 random(7);
  for (int round = 0; round < 500; ++round) {
    FakeControl& control = node.attach_control();
    node.turn();
    abi::ControlRequest request = control_request(Harness::kRight);
    auto* bytes = reinterpret_cast<std::uint8_t*>(&request);
    for (int flips = 0; flips < 2; ++flips) bytes[4 + random() % 60] = static_cast<std::uint8_t>(random());
    control.ask(request, std::string(random() % 1025, 'x'));
    if (random() % 4 == 0) control.request_header().tail.value.fetch_add(random());
    node.turn(2);
    ASSERT_EQ(node.books(), "") << round;
    while (const auto taken = worker.next()) worker.answer(*taken, "");
    node.turn();
    node.cells.control(0).retire();
    node.turn();
    ASSERT_TRUE(node.cells.control(0).is_empty());
  }
  worker.answer(dispatched(worker), "still here");
  node.turn();
  EXPECT_EQ(only_answer().body, "still here");
}

TEST_F(PollCore, ForwardsLogLinesAndEventsAndCountsWhatIsLost) {
  FakeWorker& worker = node.attach_worker(1);
  abi::WorkerReply log{};
  log.type = static_cast<std::uint8_t>(abi::ReplyType::log);
  log.process = 12;
  worker.say(log, "nobody listens");
  node.turn();
  EXPECT_EQ(node.counter(Counter::control_event_lost), 1u);

  FakeControl& control = node.attach_control();
  worker.say(log, "a line");
  abi::WorkerReply event = log;
  event.type = static_cast<std::uint8_t>(abi::ReplyType::event);
  event.reason = static_cast<std::uint16_t>(Reason::broken);
  event.to_slot = 3;
  event.to_generation = 250;
  worker.say(event, "trap: unreachable");
  node.turn();
  const auto line = control.next();
  const auto trap = control.next();
  ASSERT_TRUE(line && trap);
  EXPECT_EQ(line->header.type, static_cast<std::uint8_t>(abi::ControlEventType::log));
  EXPECT_EQ(line->header.process, 12u);
  EXPECT_EQ(line->header.worker, 1u) << "which worker it was is the poll core's word";
  EXPECT_EQ(line->body, "a line");
  EXPECT_EQ(trap->header.type, static_cast<std::uint8_t>(abi::ControlEventType::instance_event));
  EXPECT_EQ(trap->header.reason, static_cast<std::uint16_t>(Reason::broken));
  EXPECT_EQ(trap->header.restarts, 3u);
  EXPECT_EQ(trap->header.backoff_ms, 250u);
  EXPECT_EQ(line->header.restarts + line->header.backoff_ms, 0u);

  for (int i = 0; i < 50; ++i) worker.say(log, std::string(1000, 'x'));  // 8 KiB hold 7 of these
  node.turn();
  EXPECT_GT(node.counter(Counter::control_event_lost), 40u);
}

// ---- sending

TEST_F(PollCore, KeepsAnswersWhileThePortIsSlowAndDropsWhenItIsTooSlow) {
  FakeWorker& worker = node.attach_worker();
  node.nics[0].tx_room = 0;
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 50; ++i) node.receive(Harness::request());
    node.turn(2);
    while (const auto request = worker.next()) worker.answer(*request, "");
    node.turn();
  }
  EXPECT_EQ(node.counter(Counter::answered), 300u);
  EXPECT_EQ(node.counter(Counter::tx_full), 300u - 256u);
  EXPECT_TRUE(node.take_sent().empty());
  node.nics[0].tx_room = ~0u;
  node.turn();
  EXPECT_EQ(node.take_sent().size(), 256u);
  EXPECT_EQ(node.counter(Counter::tx_packets), 256u);
}

TEST_F(PollCore, CountsAnswersThatFoundNoBuffer) {
  FakeWorker& worker = node.attach_worker();
  const auto request = dispatched(worker);
  node.nics[0].fresh_left = 0;
  worker.answer(request, "");
  node.turn();
  EXPECT_TRUE(node.take_sent().empty());
  EXPECT_EQ(node.counter(Counter::mbuf_exhausted), 1u);
  EXPECT_EQ(node.counter(Counter::answered), 1u);
}

// ---- stopping

TEST_F(PollCore, DrainsThenAnswersTheRest) {
  FakeWorker& worker = node.attach_worker();
  const auto first = dispatched(worker);
  dispatched(worker);
  node.signals.phase = Phase::draining;
  node.receive(Harness::request());
  node.turn();
  EXPECT_EQ(only_answer().reason, Reason::busy);
  EXPECT_EQ(node.counter(Counter::busy_draining), 1u);
  worker.answer(first, "done");
  node.turn();
  EXPECT_EQ(only_answer().body, "done");
  node.signals.phase = Phase::stopping;
  node.cores[0]->run();
  EXPECT_EQ(only_answer().reason, Reason::process_failed);
}

TEST_F(PollCore, OnlyRequestsAreAnswered) {
  node.attach_worker();
  for (const Kind kind : {Kind::answer, Kind::non_commitment, Kind::notice}) {
    node.receive(Harness::frame(MessageBuilder().kind(kind).to(Harness::kRight)));
    node.receive(Harness::frame(MessageBuilder().kind(kind).to({15, 1, {}})));
  }
  node.turn();
  EXPECT_TRUE(node.take_sent().empty());
  EXPECT_EQ(node.counter(Counter::answer_unexpected), 6u);
}

// ---- several of everything

TEST(PollCores, EachAnswersOnItsOwnRing) {
  Harness node(Harness::small_geometry(2));
  FakeWorker& on_0 = node.attach_worker(0, 0);
  FakeWorker& on_1 = node.attach_worker(0, 1);
  for (std::uint32_t core = 0; core < 2; ++core) {
    node.receive(Harness::request("core " + std::to_string(core)), core);
    node.turn(1, core);
  }
  const auto first = on_0.next();
  const auto second = on_1.next();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(abi::send_once_core(first->header.reply_slot), 0u);
  EXPECT_EQ(abi::send_once_core(second->header.reply_slot), 1u);
  on_0.answer(*first, first->body);
  on_1.answer(*second, second->body);
  node.turn(1, 0);
  node.turn(1, 1);
  EXPECT_EQ(node.take_sent(0).at(0).body, "core 0");
  EXPECT_EQ(node.take_sent(1).at(0).body, "core 1");
  on_0.answer(*second, "through the wrong ring");
  node.turn(1, 0);
  EXPECT_TRUE(node.cells.worker(0, 0).faulty.load());
}

TEST(PollCores, BooksBalanceAfterEverythingAtOnce) {
  Harness node;
  FakeWorker* worker = &node.attach_worker();
  FakeControl& control = node.attach_control();
  std::mt19937 random(1);
  node.write_right({5, 1, Harness::kKey}, [](auto& fields) { fields.rate = 100, fields.burst = 5; });
  node.write_right({6, 1, Harness::kKey}, [](auto& fields) { fields.body_max = 3, fields.worker = 1; });
  std::vector<FakeWorker::Request> held;
  std::uint64_t requests = 0;
  std::uint64_t answers = 0;
  for (int step = 0; step < 20'000; ++step) {
    switch (random() % 16) {
      case 0:
        node.receive(Bytes(random() % 100, std::byte{1}));
        break;
      case 1:
        node.receive(Harness::frame(MessageBuilder().kind(Kind::notice).to(Harness::kRight)));
        break;
      case 2:
        control.ask(control_request(Harness::kRight), "c");
        break;
      case 3:
        node.pass_us(random() % 400);
        break;
      case 4:
        if (step % 50 == 0) {
          node.cells.worker(0, 0).retire();
          node.turn(4);
          ASSERT_TRUE(node.cells.worker(0, 0).is_empty());
          held.clear();
          worker = &node.attach_worker();
        }
        break;
      case 5:
        while (control.next()) {
        }
        break;
      default:
        ++requests;
        node.receive(Harness::frame(MessageBuilder()
                                        .to({static_cast<std::uint32_t>(3 + random() % 3),
                                             random() % 4 != 0 ? 7u : 1u, Harness::kKey})
                                        .body(random() % 8)));
    }
    while (auto request = worker->next()) held.push_back(std::move(*request));
    while (!held.empty() && random() % 3 != 0) {
      const auto request = held[random() % held.size()];
      if (random() % 10 != 0) worker->answer(request, "ok");
      held.erase(held.begin());
    }
    node.turn();
    answers += node.take_sent().size();
    ASSERT_EQ(node.books(), "") << "step " << step;
  }
  node.cells.worker(0, 0).retire();
  node.turn(20);
  answers += node.take_sent().size();
  EXPECT_EQ(node.books(), "");
  EXPECT_EQ(node.cores[0]->in_flight().in_use(), 0u);
  EXPECT_EQ(node.nics[0].packets_alive, 0);
  EXPECT_GT(node.counter(Counter::answered), 1000u);
  EXPECT_EQ(requests, answers + node.counter(Counter::refusals_suppressed)) << "exactly one answer each";
}

}  // namespace
}  // namespace pgrid::test
