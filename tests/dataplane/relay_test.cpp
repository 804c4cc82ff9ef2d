// Functions that ask others: each request that a function sends through a handle gets exactly one answer, under the rules
// of the right it holds.
#include "dataplane/relay.hpp"

#include <functional>

#include "tests/dataplane/relay_harness.hpp"

namespace pgrid::test {
namespace {

using abi::Counter;
using abi::Kind;
using abi::Reason;
using dataplane::Phase;

// ---- a call and its answer

TEST_F(RelayTest, CarriesAFunctionsRequestAndTheAnswerBack) {
  abi::WorkerReply send = question(9);
  send.deadline_us = 700;
  send.hops = 3;
  asker->say(send, "what is six times seven");
  const auto request = asked_now();
  EXPECT_EQ(request.body, "what is six times seven");
  EXPECT_EQ(request.header.kind, static_cast<std::uint8_t>(Kind::request));
  EXPECT_EQ(request.header.process, kAsked);
  EXPECT_EQ(request.header.label, 0xabcdu) << "which of its rights it came through";
  EXPECT_EQ(request.header.hops, 3);
  EXPECT_EQ(request.header.deadline_us, 700u);
  EXPECT_TRUE(abi::is_send_once(request.header.reply_slot));
  EXPECT_FALSE(asker->next()) << "nothing is answered yet";

  node.pass_us(100);
  asked->answer(request, "42");
  const auto answer = answered_now();
  EXPECT_EQ(answer.body, "42");
  EXPECT_EQ(answer.header.kind, static_cast<std::uint8_t>(Kind::answer));
  EXPECT_EQ(answer.header.reason, 0u);
  EXPECT_EQ(answer.header.process, kAsker);
  EXPECT_EQ(answer.header.reply_slot, 0u);
  EXPECT_EQ(answer.header.reply_generation, 77u) << "the instance that asked";
  EXPECT_EQ(answer.header.id[0], 9);
  EXPECT_EQ(answer.header.hops, 2) << "as when it was asked";
  EXPECT_EQ(answer.header.deadline_us, 600u) << "what is left";
  EXPECT_EQ(answer.header.dispatched_tsc, node.nics[0].now);

  EXPECT_EQ(node.counter(Counter::guest_requests), 1u);
  EXPECT_EQ(node.counter(Counter::guest_answers), 1u);
  EXPECT_EQ(node.counter(Counter::answered), 1u);
  EXPECT_EQ(node.stats.accounts(0)[kHeldRight.slot].kept.load(), 1u);
  EXPECT_EQ(node.stats.accounts(0)[kHeldRight.slot].in_flight.load(), 0u);
  EXPECT_TRUE(node.take_sent().empty()) << "nothing of this goes to the wire";
}

TEST_F(RelayTest, EveryOutcomeReachesTheAsker) {
  const std::pair<Reason, Counter> outcomes[] = {{Reason::declined, Counter::declined},
                                                 {Reason::broken, Counter::broken},
                                                 {Reason::process_failed, Counter::process_failed},
                                                 {Reason::busy, Counter::busy_mailbox}};
  for (const auto& [reason, counter] : outcomes) {
    asker->say(question());
    asked->refuse(asked_now(), reason);
    const auto answer = answered_now();
    EXPECT_EQ(answer.header.kind, static_cast<std::uint8_t>(Kind::non_commitment));
    EXPECT_EQ(reason_of(answer), abi::name_of(reason));
    EXPECT_EQ(node.counter(counter), 1u) << abi::name_of(counter);
  }
}

TEST_F(RelayTest, AFunctionMayAskOneOnItsOwnWorker) {
  node.write_right(kHeldRight, [](auto& fields) { fields.target = 43; });
  asker->say(question(), "to my neighbour");
  node.turn();
  const auto request = asker->next();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->header.process, 43u);
  asker->answer(*request, "from your neighbour");
  EXPECT_EQ(answered_now().body, "from your neighbour");
}

TEST_F(RelayTest, TheLargestBodiesFitBothWays) {
  asker->say(question(), std::string(1024, 'q'));
  const auto request = asked_now();
  EXPECT_EQ(request.body, std::string(1024, 'q'));
  asked->answer(request, std::string(1024, 'a'));
  EXPECT_EQ(answered_now().body, std::string(1024, 'a'));
}

// ---- handles

TEST_F(RelayTest, AHandleThatIsNotHeldIsNoSuchRight) {
  struct Case {
    const char* what;
    std::function<void(Harness&, abi::WorkerReply&)> change;
  };
  const Case cases[] = {
      {"another handle", [](Harness&, auto& send) { send.to_slot = 5; }},
      {"the last handle", [](Harness&, auto& send) { send.to_slot = abi::kFirstGrant + abi::kGrantsMax - 1; }},
      {"a process that was never loaded", [](Harness&, auto& send) { send.process = abi::kProcessesMax - 1; }},
      {"an earlier generation", [](Harness&, auto& send) { send.process_generation = 0; }},
      {"a later generation", [](Harness&, auto& send) { send.process_generation = 2; }},
      {"taken away", [](Harness& n, auto&) { n.handles.set(kAsker, kHandle, 0, 0); }},
      {"unloaded", [](Harness& n, auto&) { n.handles.end(kAsker); }},
      {"loaded anew", [](Harness& n, auto&) { n.handles.begin(kAsker, 2, 0); }},
      {"loaded anew, by the new one", [](Harness& n, auto& send) {
         n.handles.begin(kAsker, 2, 0);
         send.process_generation = 2;
       }}};
  std::uint64_t refused = 0;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    abi::WorkerReply send = question();
    c.change(node, send);
    asker->say(send, "who are you");
    const auto answer = answered_now();
    EXPECT_EQ(reason_of(answer), "no_such_right");
    EXPECT_EQ(answer.header.process, send.process);
    EXPECT_EQ(answer.header.reply_generation, 77u);
    EXPECT_EQ(answer.header.deadline_us, ~0u) << "no deadline was asked for";
    EXPECT_EQ(node.counter(Counter::handle_unknown), ++refused);
    EXPECT_FALSE(asked->next());
    EXPECT_FALSE(faulty()) << "it may have been true a moment ago";
    hold_right(node);
  }
}

// ---- the right behind a handle

TEST_F(RelayTest, TheRightsOwnRulesHold) {
  struct Case {
    const char* reason;
    Counter counter;
    std::function<void(abi::RightFields&)> change;
  };
  const Case cases[] = {
      {"no_such_right", Counter::right_revoked, [](auto& f) { f.target_kind = abi::Target::revoked; }},
      {"no_such_right", Counter::right_old_generation, [](auto& f) { f.generation += 1; }},
      {"no_such_right", Counter::right_expired, [](auto& f) { f.expires_unix_ns = 1; }},
      {"not_permitted", Counter::not_permitted, [](auto& f) { f.permissions = 0; }},
      {"too_large", Counter::too_large, [](auto& f) { f.body_max = 4; }},
      {"busy", Counter::busy_right, [](auto& f) { f.in_flight_max = 0; }},
      {"busy", Counter::busy_worker, [](auto& f) { f.worker = 2; }},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(abi::name_of(c.counter));
    node.write_right(kHeldRight, [&](abi::RightFields& fields) {
      fields.target = kAsked;
      fields.worker = 1;
      c.change(fields);
    });
    asker->say(question(), "12345");
    EXPECT_EQ(reason_of(answered_now()), c.reason);
    EXPECT_EQ(node.counter(c.counter), 1u);
  }
  EXPECT_EQ(node.stats.accounts(0)[kHeldRight.slot].refused.load(), 4u) << "of a valid right, on its line";
  EXPECT_FALSE(asked->next());
}

TEST_F(RelayTest, AKeyIsNotNeededAndNotGiven) {
  node.write_right(kHeldRight, [](abi::RightFields& fields) {
    fields.target = kAsked;
    fields.worker = 1;
    std::memset(fields.key, 0xee, sizeof fields.key);  // nobody ever told the function
  });
  asker->say(question());
  asked->answer(asked_now(), "");
  EXPECT_EQ(answered_now().header.kind, static_cast<std::uint8_t>(Kind::answer));
}

TEST_F(RelayTest, TheRightsRateAndInFlightHold) {
  node.write_right(kHeldRight, [](abi::RightFields& fields) {
    fields.target = kAsked;
    fields.worker = 1;
    fields.rate = 1;
    fields.burst = 3;
    fields.in_flight_max = 2;
  });
  for (std::uint8_t id = 1; id <= 3; ++id) asker->say(question(id));
  const auto third = answered_now();
  EXPECT_EQ(third.header.id[0], 3);
  EXPECT_EQ(reason_of(third), "busy");
  asked->answer(*asked->next(), "");
  asked->answer(*asked->next(), "");
  node.turn();
  while (asker->next()) {
  }
  asker->say(question(4));
  EXPECT_EQ(reason_of(answered_now()), "quota_exceeded") << "three of three tokens are spent";
  EXPECT_EQ(node.counter(Counter::busy_right), 1u);
  EXPECT_EQ(node.counter(Counter::quota_exceeded), 1u);
}

// ---- hops and deadlines

TEST_F(RelayTest, EightFunctionsMayPassAMessageOn) {
  abi::WorkerReply send = question();
  send.hops = 8;
  asker->say(send);
  const auto eighth = asked_now();
  EXPECT_EQ(eighth.header.hops, 8);
  asked->answer(eighth, "");
  EXPECT_EQ(answered_now().header.hops, 7);

  send.hops = 9;
  asker->say(send);
  const auto ninth = answered_now();
  EXPECT_EQ(reason_of(ninth), "not_permitted");
  EXPECT_EQ(ninth.header.hops, 8);
  EXPECT_EQ(node.counter(Counter::hop_limit), 1u);
  EXPECT_FALSE(faulty());
}

TEST_F(RelayTest, ACircleOfTwoStopsAtTheHopLimit) {
  node.write_right({6, 1, Harness::kKey}, [](auto&) {});  // back to the asker
  node.handles.set(kAsked, kHandle, 6, 1);
  node.receive(Harness::request());
  node.turn();
  FakeWorker* const workers[] = {asker, asked};
  std::vector<FakeWorker::Request> held;
  std::uint32_t n = 0;
  for (;; ++n) {
    const auto in_hand = workers[n % 2]->next();
    ASSERT_TRUE(in_hand);
    if (in_hand->header.kind != static_cast<std::uint8_t>(Kind::request)) break;
    EXPECT_EQ(in_hand->header.hops, n);
    held.push_back(*in_hand);
    abi::WorkerReply send = question();
    send.process = in_hand->header.process;
    send.hops = static_cast<std::uint8_t>(in_hand->header.hops + 1);
    workers[n % 2]->say(send);
    node.turn();
    if (n == abi::kHopsMax) {  // the ninth function's request comes back to itself
      const auto refused = workers[n % 2]->next();
      ASSERT_TRUE(refused);
      EXPECT_EQ(reason_of(*refused), "not_permitted");
      break;
    }
  }
  EXPECT_EQ(n, abi::kHopsMax);
  EXPECT_EQ(node.counter(Counter::hop_limit), 1u);
  while (!held.empty()) {  // everybody declines, back to the sender
    workers[(held.size() - 1) % 2]->refuse(held.back(), Reason::declined);
    held.pop_back();
    node.turn();
  }
  ASSERT_EQ(node.take_sent().size(), 1u);
  EXPECT_EQ(node.counter(Counter::guest_requests), node.counter(Counter::guest_answers));
}

TEST_F(RelayTest, DeadlinesAreClampedAndPassedOn) {
  const std::pair<std::uint32_t, std::uint32_t> asked_given[] = {{0, 1000}, {1, 1}, {999, 999}, {1001, 1000}, {~0u, 1000}};
  for (const auto& [wanted, given] : asked_given) {
    abi::WorkerReply send = question();
    send.deadline_us = wanted;
    asker->say(send);
    EXPECT_EQ(asked_now().header.deadline_us, given) << wanted;
    node.pass_us(given);
    const auto answer = answered_now();
    EXPECT_EQ(reason_of(answer), "no_answer") << wanted;
    EXPECT_EQ(answer.header.deadline_us, 1u) << "nothing is left; 0 would mean none";
  }
  EXPECT_EQ(node.counter(Counter::no_answer), std::size(asked_given));
}

// ---- who dies meanwhile

TEST_F(RelayTest, AnAskerThatWasRestartedIsNotAnswered) {
  asker->say(question(), "one");
  asker->say(question(), "two");
  const auto one = asked_now();
  const auto two = *asked->next();
  node.cells.worker(0, 0).retire();
  asked->answer(one, "nobody is there");
  node.turn();
  EXPECT_TRUE(node.cells.worker(0, 0).is_empty());
  EXPECT_EQ(node.counter(Counter::guest_answers_lost), 1u);
  asker = &node.attach_worker(0);
  node.turn();
  asked->answer(two, "somebody else is there");
  node.turn();
  EXPECT_FALSE(asker->next());
  EXPECT_EQ(node.counter(Counter::guest_answers_lost), 2u);
  EXPECT_EQ(node.counter(Counter::answered), 2u);

  for (std::uint8_t id = 1; id <= kWaitingMax; ++id) asker->say(question(id));  // it owes nothing of its predecessor's
  node.turn();
  EXPECT_FALSE(faulty());
  for (std::uint8_t id = 1; id <= kWaitingMax; ++id) asked->answer(*asked->next(), "");
  for (std::uint8_t id = 1; id <= kWaitingMax; ++id) EXPECT_EQ(answered_now().header.id[0], id);
}

TEST_F(RelayTest, AnAskedWorkersDeathIsProcessFailed) {
  for (std::uint8_t id = 1; id <= 3; ++id) asker->say(question(id));
  asked->answer(asked_now(), "before I die");
  node.cells.worker(0, 1).retire();
  node.turn();
  EXPECT_EQ(asker->next()->body, "before I die");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(reason_of(*asker->next()), "process_failed");
  EXPECT_FALSE(asker->next());
  EXPECT_EQ(node.stats.accounts(0)[kHeldRight.slot].broken.load(), 2u);
}

TEST_F(RelayTest, DrainsThenAnswersTheRest) {
  asker->say(question(1));
  (void)asked_now();
  node.signals.phase = Phase::draining;
  asker->say(question(2));
  const auto refused = answered_now();
  EXPECT_EQ(refused.header.id[0], 2);
  EXPECT_EQ(reason_of(refused), "busy");
  EXPECT_EQ(node.counter(Counter::busy_draining), 1u);
  node.signals.phase = Phase::stopping;
  node.cores[0]->run();
  EXPECT_EQ(reason_of(*asker->next()), "process_failed");
}

}  // namespace
}  // namespace pgrid::test
