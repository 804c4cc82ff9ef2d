// Rights in messages, as a poll core sees them: what a function holds reaches another function, or control, all of it or none;
// what was moved is its sender's no more; and what a receiver has no handle for is refused before anything happens.
#include <functional>

#include "tests/dataplane/relay_harness.hpp"

namespace pgrid::test {
namespace {

using abi::Counter;
using abi::Kind;
using abi::Reason;
using dataplane::HeldRight;

constexpr std::uint32_t kThing = 20;         // handle under which the asker holds
constexpr abi::RightRef kThingRight{8, 5};   // this right
constexpr std::uint32_t kOther = 21;
constexpr abi::RightRef kOtherRight{9, 6};

class CarryTest : public RelayTest {
 protected:
  CarryTest() {
    for (const abi::RightRef& right : {kThingRight, kOtherRight}) write(right, abi::kPermissionsAll);
    hold(kAsker, 0, {kOtherRight, kThingRight, kOtherRight});  // 19, 20, 21
    node.handles.drop(kAsker, 19, 1);
  }
  void write(const abi::RightRef& right, std::uint8_t permissions) {
    node.write_right({right.slot, right.generation, Harness::kKey}, [&](auto& fields) { fields.permissions = permissions; });
  }
  void hold(std::uint32_t process, std::uint32_t worker, std::vector<abi::RightRef> rights) {
    std::array<std::uint32_t, abi::kHandlesMax> handles{};
    ASSERT_TRUE(node.handles.give(process, {1, worker}, rights, handles.data()));
  }
  [[nodiscard]] std::optional<abi::RightRef> held(std::uint32_t process, std::uint32_t worker, std::uint32_t handle) const {
    const HeldRight right = node.handles.find(process, 1, worker, handle);
    if (right.verdict != HeldRight::Verdict::held) return std::nullopt;
    return abi::RightRef{right.slot, right.generation};
  }
  [[nodiscard]] std::uint32_t held_count(std::uint32_t process, std::uint32_t worker) const {
    std::uint32_t n = 0;
    for (std::uint32_t handle = abi::kFirstCarried; handle < abi::kHandlesMax; ++handle) n += held(process, worker, handle).has_value();
    return n;
  }
  struct Item {
    std::uint32_t handle;
    std::uint8_t mode;
  };
  static void carry(abi::WorkerReply& reply, std::vector<Item> items) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      reply.rights[i] = items[i].handle;
      reply.rights_mode[i] = items[i].mode;
    }
    reply.process_generation = 1;
  }
  static abi::WorkerReply carrying(std::vector<Item> items) {
    abi::WorkerReply send = question();
    carry(send, items);
    return send;
  }
  static constexpr std::uint8_t kCopy = 1, kMove = 2;
};

// ---- requests

TEST_F(CarryTest, CopiesReachTheReceiverUnderHandlesOfItsOwn) {
  node.write_right(kHeldRight, [](auto& fields) { fields.target = kAsked, fields.worker = 1, fields.permissions = abi::kPermissionsAll; });
  asker->say(carrying({{kThing, kCopy}, {kHandle, kCopy}}), "two");
  const auto request = asked_now();
  EXPECT_EQ(request.body, "two");
  EXPECT_EQ(request.header.rights[0], abi::carried_handle(19, 1));
  EXPECT_EQ(request.header.rights[1], abi::carried_handle(20, 1));
  EXPECT_EQ(request.header.rights[2], 0u);
  EXPECT_EQ(held(kAsked, 1, 19), kThingRight) << "the same slot: one quota, one label";
  EXPECT_EQ(held(kAsked, 1, 20), (abi::RightRef{kHeldRight.slot, kHeldRight.generation}));
  EXPECT_EQ(held(kAsker, 0, kThing), kThingRight);
  EXPECT_EQ(node.counter(Counter::rights_carried), 2u);
}

TEST_F(CarryTest, AMoveLeavesTheSender) {
  asker->say(carrying({{kThing, kMove}, {kOther, kCopy}}));
  (void)asked_now();
  EXPECT_FALSE(held(kAsker, 0, kThing));
  EXPECT_TRUE(held(kAsker, 0, kOther));
  EXPECT_EQ(held(kAsked, 1, 19), kThingRight);
  asker->say(carrying({{kThing, kMove}}));
  EXPECT_EQ(reason_of(answered_now()), "no_such_right") << "it cannot be moved twice";
  EXPECT_EQ(node.counter(Counter::carried_unknown), 1u);
}

TEST_F(CarryTest, TheReceiverUsesWhatItGot) {
  node.write_right({kThingRight.slot, kThingRight.generation, Harness::kKey}, [](auto& fields) {
    fields.permissions = abi::kPermissionsAll;
    fields.label = 0x7777;
  });
  asker->say(carrying({{kThing, kMove}}));
  const auto request = asked_now();
  abi::WorkerReply send = question();
  send.process = kAsked;
  send.to_slot = abi::handle_of(request.header.rights[0]);
  asked->say(send, "through it");
  node.turn();
  const auto used = asker->next();  // kThingRight leads to process 41 on worker 0
  ASSERT_TRUE(used);
  EXPECT_EQ(used->body, "through it");
  EXPECT_EQ(used->header.label, 0x7777u);
}

TEST_F(CarryTest, WhatMayNotBeCarriedIsRefusedAndStays) {
  struct Case {
    const char* what;
    const char* reason;
    Counter counter;
    std::function<void()> change;
    std::vector<Item> items;
  };
  const std::vector<Item> both{{kOther, kMove}, {kThing, kMove}};
  const auto rewrite = [&](auto change) {
    return [this, change] {
      node.write_right({kThingRight.slot, kThingRight.generation, Harness::kKey}, [&](auto& fields) {
        fields.permissions = abi::kPermissionsAll;
        change(fields);
      });
    };
  };
  const Case cases[] = {
      {"not held", "no_such_right", Counter::carried_unknown, [] {}, {{kOther, kMove}, {22, kCopy}}},
      {"revoked", "no_such_right", Counter::carried_unknown, rewrite([](auto& f) { f.target_kind = abi::Target::revoked; }), both},
      {"used anew", "no_such_right", Counter::carried_unknown, rewrite([](auto& f) { f.generation += 1; }), both},
      {"expired", "no_such_right", Counter::carried_unknown, rewrite([](auto& f) { f.expires_unix_ns = 1; }), both},
      {"may not be carried", "not_permitted", Counter::carried_not_permitted,
       rewrite([](auto& f) { f.permissions = abi::kMaySend | abi::kMayDerive; }), both},
      {"the receiver is away", "busy", Counter::busy_worker, [this] { node.handles.end(kAsked); }, {{kOther, kMove}}},
      {"the receiver's handles are used", "busy", Counter::busy_handles,
       [this] {
         node.handles.begin(kAsked, 1, 1);
         hold(kAsked, 1, std::vector<abi::RightRef>(44, kOtherRight));  // one is free
       },
       {{kOther, kMove}, {kOther, kCopy}}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    c.change();
    const std::uint64_t before = node.counter(c.counter);
    const std::uint32_t had = held_count(kAsked, 1);
    std::vector<Item> items = c.items;
    if (items.size() == 2 && items[0].handle == items[1].handle) items[0].mode = kCopy;
    asker->say(carrying(items), "body");
    const auto refusal = answered_now();
    EXPECT_EQ(reason_of(refusal), c.reason);
    EXPECT_EQ(node.counter(c.counter), before + 1);
    EXPECT_FALSE(asked->next());
    EXPECT_EQ(held_count(kAsked, 1), had) << "all or none";
    EXPECT_TRUE(held(kAsker, 0, kOther));
    EXPECT_TRUE(held(kAsker, 0, kThing));
    if (items[0].mode == kMove)
      EXPECT_EQ(refusal.header.rights[0], abi::carried_handle(kOther, 1)) << "it still has it";
    else
      EXPECT_EQ(refusal.header.rights[0], 0u) << "a copy never left";
    EXPECT_EQ(refusal.header.rights[2], 0u);
    rewrite([](auto&) {})();
  }
}

TEST_F(CarryTest, ARefusedSendKeepsItsRights) {
  node.write_right(kHeldRight, [](auto& fields) { fields.target = kAsked, fields.worker = 1, fields.in_flight_max = 0; });
  asker->say(carrying({{kThing, kMove}}));
  const auto refusal = answered_now();
  EXPECT_EQ(reason_of(refusal), "busy");
  EXPECT_EQ(refusal.header.rights[0], abi::carried_handle(kThing, 1));
  EXPECT_TRUE(held(kAsker, 0, kThing));
  EXPECT_EQ(held_count(kAsked, 1), 0u);
  EXPECT_EQ(node.counter(Counter::busy_right), 1u);
}

// ---- answers

TEST_F(CarryTest, AnAnswerBringsTheAskerRights) {
  hold(kAsked, 1, {kThingRight, kOtherRight});  // 19, 20
  asker->say(question());
  const auto request = asked_now();
  abi::WorkerReply answer = FakeWorker::answer_to(request.header);
  carry(answer, {{19, kMove}, {20, kCopy}});
  asked->say(answer, "yours");
  const auto got = answered_now();
  EXPECT_EQ(got.body, "yours");
  EXPECT_EQ(got.header.rights[0], abi::carried_handle(19, 1)) << "the asker's own first free handle";
  EXPECT_EQ(got.header.rights[1], abi::carried_handle(22, 1));
  EXPECT_EQ(held(kAsker, 0, 19), kThingRight);
  EXPECT_EQ(held(kAsker, 0, 22), kOtherRight);
  EXPECT_FALSE(held(kAsked, 1, 19));
  EXPECT_TRUE(held(kAsked, 1, 20));
  EXPECT_EQ(node.counter(Counter::answered), 1u);
}

TEST_F(CarryTest, AnAnswerThatCannotBeGivenIsRefused) {
  struct Case {
    const char* what;
    const char* reason;
    std::function<void()> change;
  };
  const Case cases[] = {
      {"no handle is free", "busy", [&] { hold(kAsker, 0, std::vector<abi::RightRef>(43, kOtherRight)); }},
      {"not held", "no_such_right", [&] { node.handles.drop(kAsked, 19, 1); }},
      {"may not be carried", "not_permitted", [&] { write(kThingRight, abi::kMaySend); }},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    node.handles.begin(kAsked, 1, 1);
    hold(kAsked, 1, {kThingRight, kOtherRight});
    asker->say(question());
    const auto request = asked_now();
    c.change();
    abi::WorkerReply answer = FakeWorker::answer_to(request.header);
    carry(answer, {{19, kMove}, {20, kMove}});
    asked->say(answer, "yours");
    const auto got = answered_now();
    EXPECT_EQ(got.header.kind, static_cast<std::uint8_t>(Kind::non_commitment));
    EXPECT_EQ(reason_of(got), c.reason);
    EXPECT_EQ(got.header.rights[0], 0u);
    EXPECT_EQ(got.body, "");
    EXPECT_FALSE(held(kAsked, 1, 20)) << "moved rights are gone with the message";
    node.handles.begin(kAsker, 1, 0);
    node.handles.set(kAsker, kHandle, kHeldRight.slot, kHeldRight.generation);
  }
  EXPECT_EQ(node.counter(Counter::answer_refused), std::size(cases));
}

TEST_F(CarryTest, NobodyOnTheWireGetsRights) {
  node.receive(Harness::request());
  node.turn();
  const auto request = asker->next();
  ASSERT_TRUE(request);
  abi::WorkerReply answer = FakeWorker::answer_to(request->header);
  carry(answer, {{kThing, kMove}});
  asker->say(answer, "secret");
  node.turn();
  const auto sent = node.take_sent();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].kind, Kind::non_commitment);
  EXPECT_EQ(sent[0].reason, Reason::not_permitted);
  EXPECT_EQ(sent[0].body, "");
  EXPECT_EQ(node.counter(Counter::answer_refused), 1u);
  EXPECT_FALSE(held(kAsker, 0, kThing));
}

TEST_F(CarryTest, AnAskerThatIsGoneGetsNoHandles) {
  hold(kAsked, 1, {kThingRight});
  asker->say(question());
  const auto request = asked_now();
  node.cells.worker(0, 0).retire();
  node.turn();
  abi::WorkerReply answer = FakeWorker::answer_to(request.header);
  carry(answer, {{19, kCopy}});
  asked->say(answer);
  node.turn();
  EXPECT_EQ(node.counter(Counter::guest_answers_lost), 1u);
  EXPECT_EQ(held_count(kAsker, 0), 2u) << "what it had";
}

// ---- handles given back

TEST_F(CarryTest, HandlesAreGivenBack) {
  abi::WorkerReply drop{};
  drop.type = static_cast<std::uint8_t>(abi::ReplyType::drop);
  drop.process = kAsker;
  drop.process_generation = 1;
  const auto mask = [](std::uint64_t bits) { return std::string(reinterpret_cast<const char*>(&bits), sizeof bits); };
  drop.process_generation = 2;
  asker->say(drop, mask(~std::uint64_t{0} << abi::kFirstCarried));
  node.turn();
  EXPECT_EQ(held_count(kAsker, 0), 2u) << "another generation's";
  EXPECT_EQ(node.counter(Counter::notices_lost), 0u);
  drop.to_slot = 1;
  asker->say(drop, mask(0));
  node.turn();
  EXPECT_EQ(node.counter(Counter::notices_lost), 1u) << "its worker threw a notice away";
  drop.to_slot = 0;
  drop.process_generation = 1u | 1u << 26;  // what a record's word has of it counts
  asker->say(drop, mask(1u << kThing | std::uint64_t{1} << 63));
  node.turn();
  EXPECT_FALSE(held(kAsker, 0, kThing));
  EXPECT_TRUE(held(kAsker, 0, kOther));
  EXPECT_TRUE(held(kAsker, 0, kHandle)) << "a grant is control's";
  EXPECT_FALSE(faulty());
}

// ---- lies

TEST_F(CarryTest, NonsenseReplacesTheWorker) {
  struct Case {
    const char* what;
    abi::WorkerReply record;
    std::string body;
  };
  std::vector<Case> cases;
  const auto send = [&](const char* what, std::vector<Item> items) { cases.push_back({what, carrying(items), "body"}); };
  send("mode 3", {{kThing, 3}});
  send("mode 255", {{kThing, 255}});
  send("a handle without a mode", {{kThing, kCopy}, {kOther, 0}});
  send("a mode without a handle", {{0, kCopy}});
  send("a gap", {{kThing, kCopy}, {0, 0}, {kOther, kCopy}});
  send("itself", {{1, kCopy}});
  send("control", {{2, kCopy}});
  send("64", {{64, kCopy}});
  send("all ones", {{~0u, kCopy}});
  send("a send-once right", {{abi::kSendOnce, kCopy}});
  send("a grant, moved", {{kHandle, kMove}});
  send("moved twice", {{kThing, kMove}, {kThing, kMove}});
  send("copied and moved", {{kThing, kCopy}, {kThing, kMove}});
  const auto drop = [&](const char* what, std::uint64_t bits, std::function<void(abi::WorkerReply&)> change,
                        std::size_t length = sizeof(std::uint64_t)) {
    abi::WorkerReply record{};
    record.type = static_cast<std::uint8_t>(abi::ReplyType::drop);
    record.process = kAsker;
    record.process_generation = 1;
    change(record);
    std::string body(reinterpret_cast<const char*>(&bits), sizeof bits);
    body.resize(length);
    cases.push_back({what, record, body});
  };
  for (std::uint32_t bit = 0; bit < abi::kFirstCarried; ++bit) drop("the drop of what is not carried", std::uint64_t{1} << bit, [](auto&) {});
  drop("a drop without a body", 0, [](auto&) {}, 0);
  drop("a drop with a short body", 0, [](auto&) {}, 7);
  drop("a drop with a long body", 0, [](auto&) {}, 9);
  drop("a drop for another worker's process", std::uint64_t{1} << 20, [](auto& r) { r.process = kAsked; });
  drop("a drop for a process past the table", std::uint64_t{1} << 20, [](auto& r) { r.process = abi::kProcessesMax; });
  drop("a drop for process all ones", std::uint64_t{1} << 20, [](auto& r) { r.process = ~0u; });
  std::uint64_t malformed = 0;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    hold(kAsked, 1, {kOtherRight});
    asker->say(c.record, c.body);
    node.turn();
    EXPECT_EQ(node.counter(Counter::reply_malformed), ++malformed);
    EXPECT_TRUE(faulty());
    EXPECT_FALSE(asked->next());
    EXPECT_EQ(held_count(kAsked, 1), 1u);
    EXPECT_EQ(held_count(kAsker, 0), 2u);
    node.cells.worker(0, 0).retire();
    node.turn();
    asker = &node.attach_worker(0);
    node.turn();
    node.handles.forget_carried(kAsked);
  }
  EXPECT_FALSE(faulty(1));
}

TEST_F(CarryTest, AnswersWithNonsenseReplaceTheWorker) {
  for (int i = 0; i < 3; ++i) {
    asker->say(question());
    const auto request = asked_now();
    abi::WorkerReply answer = FakeWorker::answer_to(request.header);
    carry(answer, {{20, i == 0 ? std::uint8_t{9} : kCopy}});
    if (i == 1) {
      answer.kind = static_cast<std::uint8_t>(Kind::non_commitment);
      answer.reason = static_cast<std::uint16_t>(Reason::declined);
    }
    if (i == 2) answer.rights[2] = 21;
    asked->say(answer);
    node.turn();
    EXPECT_TRUE(faulty(1)) << i;
    node.cells.worker(0, 1).retire();
    EXPECT_EQ(reason_of(answered_now()), "process_failed");
    asked = &node.attach_worker(1);
    node.turn();
  }
}

}  // namespace
}  // namespace pgrid::test
