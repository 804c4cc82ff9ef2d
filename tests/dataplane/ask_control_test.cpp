// Functions that ask control (handle 2): every request is answered once, whatever becomes of control; rights go with it and come
// with the answer; and what did not arrive control hears of.
#include "tests/dataplane/relay_harness.hpp"

namespace pgrid::test {
namespace {

using abi::ControlEventType;
using abi::ControlRequestType;
using abi::Counter;
using abi::Kind;
using abi::Reason;
using dataplane::HeldRight;

constexpr abi::RightRef kMade{11, 4};
constexpr abi::RightRef kMadeToo{12, 1};

class AskControl : public RelayTest {
 protected:
  AskControl() { node.turn(); }

  static abi::WorkerReply to_control(std::uint8_t id = 1) {
    abi::WorkerReply send = question(id);
    send.to_slot = abi::kHandleControl;
    return send;
  }
  FakeControl::Event event_now() {
    node.turn();
    auto event = control->next();
    EXPECT_TRUE(event);
    return event.value_or(FakeControl::Event{});
  }
  static abi::ControlRequest answer_to(const FakeControl::Event& asked, Kind kind = Kind::answer, Reason reason = Reason::none) {
    abi::ControlRequest answer{};
    answer.type = static_cast<std::uint8_t>(ControlRequestType::answer);
    answer.kind = static_cast<std::uint8_t>(kind);
    answer.reason = static_cast<std::uint16_t>(reason);
    answer.slot = asked.header.reply_slot;
    answer.generation = asked.header.reply_generation;
    answer.id[0] = 99;
    return answer;
  }
  static abi::ControlRequest notice_to(std::uint32_t process, std::uint32_t worker, std::uint32_t instance = 0) {
    abi::ControlRequest notice{};
    notice.type = static_cast<std::uint8_t>(ControlRequestType::notice);
    notice.kind = static_cast<std::uint8_t>(Kind::notice);
    notice.slot = process;
    notice.generation = 1;
    notice.worker = static_cast<std::uint16_t>(worker);
    notice.instance = instance;
    return notice;
  }
  [[nodiscard]] bool holds(std::uint32_t process, std::uint32_t worker, std::uint32_t handle, const abi::RightRef& right) const {
    const HeldRight found = node.handles.find(process, 1, worker, handle);
    return found.verdict == HeldRight::Verdict::held && found.slot == right.slot && found.generation == right.generation;
  }
  FakeControl* control = &node.attach_control();
};

TEST_F(AskControl, WhoAsksIsWhatThePollCoreKnows) {
  std::uint32_t handles[2];
  const abi::RightRef rights[] = {kMade, kMadeToo};
  ASSERT_TRUE(node.handles.give(kAsker, {1, 0}, rights, handles));
  abi::WorkerReply send = to_control(9);
  send.rights[0] = handles[0];
  send.rights_mode[0] = 1;
  send.rights[1] = handles[1];
  send.rights_mode[1] = 2;
  asker->say(send, "mint me one");
  const auto event = event_now();
  EXPECT_EQ(event.header.type, static_cast<std::uint8_t>(ControlEventType::guest_request));
  EXPECT_EQ(event.header.kind, static_cast<std::uint8_t>(Kind::request));
  EXPECT_EQ(event.header.process, kAsker);
  EXPECT_EQ(event.header.process_generation, 1u);
  EXPECT_EQ(event.header.worker, 0u);
  EXPECT_EQ(event.header.instance, 77u);
  EXPECT_EQ(event.header.id[0], 9);
  EXPECT_TRUE(abi::is_send_once(event.header.reply_slot));
  EXPECT_EQ(event.rights, (std::vector<abi::RightRef>{kMade, kMadeToo})) << "dead or not: control knows more of them";
  EXPECT_EQ(event.body, "mint me one");
  EXPECT_TRUE(holds(kAsker, 0, handles[0], kMade));
  EXPECT_FALSE(holds(kAsker, 0, handles[1], kMadeToo)) << "moved";

  node.pass_us(100);
  control->ask(answer_to(event), "here", {kMadeToo});
  const auto answer = answered_now();
  EXPECT_EQ(answer.header.kind, static_cast<std::uint8_t>(Kind::answer));
  EXPECT_EQ(answer.header.id[0], 9);
  EXPECT_EQ(answer.header.reply_generation, 77u);
  EXPECT_EQ(answer.body, "here");
  EXPECT_EQ(answer.header.rights[0], abi::carried_handle(handles[1], 1));
  EXPECT_TRUE(holds(kAsker, 0, handles[1], kMadeToo));
  EXPECT_FALSE(control->next());
  EXPECT_EQ(node.counter(Counter::answered), 1u);
  EXPECT_EQ(node.counter(Counter::dispatched), 1u);

  control->ask(answer_to(event), "again", {kMade});  // the send-once right is used up
  const auto undelivered = event_now();
  EXPECT_EQ(undelivered.header.type, static_cast<std::uint8_t>(ControlEventType::undelivered));
  EXPECT_EQ(undelivered.header.id[0], 99);
  EXPECT_EQ(undelivered.rights, (std::vector<abi::RightRef>{kMade}));
  EXPECT_FALSE(asker->next());
  EXPECT_EQ(node.counter(Counter::control_answer_late), 1u);
}

TEST_F(AskControl, ANoComesWithItsReason) {
  asker->say(to_control());
  control->ask(answer_to(event_now(), Kind::non_commitment, Reason::quota_exceeded), "");
  EXPECT_EQ(reason_of(answered_now()), "quota_exceeded") << "control may say what only the node can mean";
  EXPECT_EQ(node.counter(Counter::declined), 1u);
}

TEST_F(AskControl, TheLargestBodyFitsWithFourRights) {
  std::uint32_t handles[4];
  const abi::RightRef rights[] = {kMade, kMade, kMade, kMade};
  ASSERT_TRUE(node.handles.give(kAsker, {1, 0}, rights, handles));
  abi::WorkerReply send = to_control();
  for (int i = 0; i < 4; ++i) {
    send.rights[i] = handles[i];
    send.rights_mode[i] = 1;
  }
  asker->say(send, std::string(1024, 'q'));
  const auto event = event_now();
  EXPECT_EQ(event.rights.size(), 4u);
  EXPECT_EQ(event.body, std::string(1024, 'q'));
  control->ask(answer_to(event), std::string(1024, 'a'), {kMade, kMade, kMade, kMade});
  const auto answer = answered_now();
  EXPECT_EQ(answer.body, std::string(1024, 'a'));
  EXPECT_EQ(abi::handle_of(answer.header.rights[3]), 26u);
}

TEST_F(AskControl, WithoutControlItIsBusy) {
  node.cells.control(0).retire();
  abi::WorkerReply send = to_control();
  std::uint32_t handle = 0;
  ASSERT_TRUE(node.handles.give(kAsker, {1, 0}, {&kMade, 1}, &handle));
  send.rights[0] = handle;
  send.rights_mode[0] = 2;
  asker->say(send);
  const auto refusal = answered_now();
  EXPECT_EQ(reason_of(refusal), "busy");
  EXPECT_EQ(refusal.header.rights[0], abi::carried_handle(handle, 1)) << "and it keeps what it was to move";
  EXPECT_TRUE(holds(kAsker, 0, handle, kMade));
  EXPECT_EQ(node.counter(Counter::busy_control), 1u);
}

TEST_F(AskControl, AFullRingIsBusy) {
  const std::uint32_t half = node.geometry.control_ring / 2;
  std::uint32_t taken = 0;
  for (std::uint32_t i = 0; i < 40; ++i) {
    asker->say(to_control(), std::string(1024, 'x'));
    node.turn();
    const auto answer = asker->next();
    if (answer) {
      EXPECT_EQ(reason_of(*answer), "busy");
      break;
    }
    ++taken;
  }
  EXPECT_EQ(taken, half / 1088) << "half of it is for answers and what control must hear";
  EXPECT_EQ(node.counter(Counter::busy_control), 1u);
  node.pass_us(61'000'000);
  node.turn(40);
  EXPECT_EQ(node.counter(Counter::no_answer), taken);
}

TEST_F(AskControl, TheDeadlineIsKeptWhateverControlDoes) {
  abi::WorkerReply send = to_control();
  send.deadline_us = 700;
  asker->say(send);
  const auto event = event_now();
  node.pass_us(699);
  node.turn();
  EXPECT_FALSE(asker->next());
  node.pass_us(1);
  EXPECT_EQ(reason_of(answered_now()), "no_answer");
  control->ask(answer_to(event), "late", {kMade});
  EXPECT_EQ(event_now().header.type, static_cast<std::uint8_t>(ControlEventType::undelivered));

  send.deadline_us = ~0u;  // no longer than a timer may take
  asker->say(send);
  (void)event_now();
  node.cells.control(0).retire();  // another control takes over: it knows nothing of this request
  node.turn();
  control = &node.attach_control();
  node.turn();
  node.pass_us(61'000'000);
  EXPECT_EQ(reason_of(answered_now()), "no_answer");
  EXPECT_EQ(node.counter(Counter::no_answer), 2u);
}

TEST_F(AskControl, WhatDoesNotArriveIsToldToControl) {
  asker->say(to_control());
  const auto event = event_now();
  std::vector<std::uint32_t> handles(44);
  const std::vector<abi::RightRef> full(44, kMade);
  ASSERT_TRUE(node.handles.give(kAsker, {1, 0}, full, handles.data()));
  control->ask(answer_to(event), "two", {kMade, kMadeToo});
  const auto answer = answered_now();
  EXPECT_EQ(reason_of(answer), "busy") << "one handle is free, two are needed";
  EXPECT_EQ(answer.header.rights[0], 0u);
  const auto undelivered = control->next();
  ASSERT_TRUE(undelivered);
  EXPECT_EQ(undelivered->header.type, static_cast<std::uint8_t>(ControlEventType::undelivered));
  EXPECT_EQ(undelivered->rights, (std::vector<abi::RightRef>{kMade, kMadeToo}));
  EXPECT_EQ(node.counter(Counter::answer_refused), 1u);

  node.handles.forget_carried(kAsker);
  asker->say(to_control());
  const auto second = event_now();
  node.handles.begin(kAsker, 2, 0);  // loaded anew meanwhile
  control->ask(answer_to(second), "for nobody", {kMade});
  const auto lost = event_now();
  EXPECT_EQ(lost.rights, (std::vector<abi::RightRef>{kMade}));
  EXPECT_EQ(node.handles.find(kAsker, 2, 0, 19).verdict, HeldRight::Verdict::none);
}

TEST_F(AskControl, NonsenseOfControlHarmsNobody) {
  asker->say(to_control());
  auto event = event_now();
  for (const std::uint8_t kind : {std::uint8_t{0}, std::uint8_t{3}, std::uint8_t{255}}) {
    abi::ControlRequest answer = answer_to(event);
    answer.kind = kind;
    control->ask(answer, "");
    EXPECT_EQ(reason_of(answered_now()), "declined") << int{kind};
    asker->say(to_control());
    event = event_now();
  }
  abi::ControlRequest wrong = answer_to(event);
  wrong.slot = 7;
  control->ask(wrong, "", {kMade});
  EXPECT_EQ(event_now().header.type, static_cast<std::uint8_t>(ControlEventType::undelivered));
  // A right that is none, or more than there is room for: the connection is closed, and the deadline answers.
  control->ask(answer_to(event), "", {{1u << 20, 1}});
  node.turn();
  EXPECT_TRUE(node.cells.control(0).faulty.load());
  node.cells.control(0).retire();
  node.turn();
  for (const std::uint8_t nb_rights : {std::uint8_t{5}, std::uint8_t{255}}) {
    control = &node.attach_control();
    node.turn();
    control->ask(answer_to(event), std::string(100, 0), std::vector<abi::RightRef>(nb_rights == 5 ? 5 : 8, kMade));
    node.turn();
    EXPECT_TRUE(node.cells.control(0).faulty.load()) << int{nb_rights};
    node.cells.control(0).retire();
    node.turn();
  }
  node.pass_us(61'000'000);
  EXPECT_EQ(reason_of(answered_now()), "no_answer");
}

TEST_F(AskControl, AWorkerCannotAnswerForControl) {
  asker->say(to_control());
  const auto event = event_now();
  abi::WorkerReply answer{};
  answer.type = static_cast<std::uint8_t>(abi::ReplyType::answer);
  answer.kind = static_cast<std::uint8_t>(Kind::answer);
  answer.process = kAsker;
  answer.to_slot = event.header.reply_slot;
  answer.to_generation = event.header.reply_generation;
  asker->say(answer, "I mint myself one");
  node.turn();
  EXPECT_TRUE(faulty());
  EXPECT_EQ(node.counter(Counter::reply_malformed), 1u);
  node.pass_us(61'000'000);
  node.turn(2);
}

TEST_F(AskControl, WhatADeadWorkerAskedIsForgotten) {
  abi::WorkerReply send = to_control();
  send.deadline_us = ~0u;
  asker->say(send);
  asker->say(send);
  const auto first = event_now();
  EXPECT_TRUE(control->next());
  node.cells.worker(0, 0).retire();
  node.turn();
  EXPECT_TRUE(node.cells.worker(0, 0).is_empty());
  EXPECT_EQ(node.cores[0]->in_flight().in_use(), 0u) << "not after the minute that they asked for";
  control->ask(answer_to(first), "", {kMade});
  EXPECT_EQ(event_now().header.type, static_cast<std::uint8_t>(ControlEventType::undelivered));
  asker = &node.attach_worker(0);
  node.turn();
}

TEST_F(AskControl, NoInstanceIsNumberZero) {
  abi::WorkerReply send = to_control();
  send.instance = 0;
  asker->say(send);
  node.turn();
  EXPECT_TRUE(faulty());
  EXPECT_FALSE(control->next());
}

TEST_F(AskControl, OfAProcessThatIsGoneNothingIsAsked) {
  node.handles.end(kAsker);
  asker->say(to_control());
  EXPECT_EQ(reason_of(answered_now()), "no_such_right");
  EXPECT_FALSE(control->next());
}

// ---- messages of control with rights

TEST_F(AskControl, ControlsMessagesCarryRights) {
  abi::ControlRequest message{};
  message.type = static_cast<std::uint8_t>(ControlRequestType::message);
  message.slot = Harness::kRight.slot;
  message.generation = Harness::kRight.generation;
  std::memcpy(message.key, Harness::kKey.data(), sizeof message.key);
  message.id[0] = 5;
  control->ask(message, "take these", {kMade, kMadeToo});
  node.turn();
  const auto request = asker->next();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->body, "take these");
  EXPECT_TRUE(holds(kAsker, 0, abi::handle_of(request->header.rights[0]), kMade));
  EXPECT_TRUE(holds(kAsker, 0, abi::handle_of(request->header.rights[1]), kMadeToo));

  node.write_right({kMade.slot, kMade.generation, Harness::kKey}, [](auto& fields) { fields.permissions = abi::kPermissionsAll; });
  abi::WorkerReply answer = FakeWorker::answer_to(request->header);
  answer.process_generation = 1;
  answer.rights[0] = abi::handle_of(request->header.rights[0]);
  answer.rights_mode[0] = 2;
  asker->say(answer, "one back");
  const auto event = event_now();
  EXPECT_EQ(event.header.type, static_cast<std::uint8_t>(ControlEventType::answer));
  EXPECT_EQ(event.rights, (std::vector<abi::RightRef>{kMade}));
  EXPECT_EQ(event.body, "one back");
  EXPECT_FALSE(holds(kAsker, 0, answer.rights[0], kMade));
}

// ---- notices

TEST_F(AskControl, NoticesReachTheProcess) {
  control->ask(notice_to(kAsked, 1, 1234), "it died", {kMade});
  node.turn();
  const auto notice = asked->next();
  ASSERT_TRUE(notice);
  EXPECT_EQ(notice->header.kind, static_cast<std::uint8_t>(Kind::notice));
  EXPECT_EQ(notice->header.process, kAsked);
  EXPECT_EQ(notice->header.reply_slot, 0u);
  EXPECT_EQ(notice->header.reply_generation, 1234u) << "for which instance";
  EXPECT_EQ(notice->header.label, 0u);
  EXPECT_EQ(notice->body, "it died");
  EXPECT_TRUE(holds(kAsked, 1, abi::handle_of(notice->header.rights[0]), kMade));
  EXPECT_EQ(node.counter(Counter::notices), 1u);
}

TEST_F(AskControl, NoticesThatCannotBeGivenAreLostAndCounted) {
  std::vector<abi::ControlRequest> lost(7, notice_to(kAsked, 1));
  lost[0].slot = abi::kProcessesMax;
  lost[1].slot = ~0u;
  lost[2].worker = 2;
  lost[3].worker = 0;  // not where it lives
  lost[4].generation = 2;
  lost[5].generation = 0;
  lost[6].slot = 43;  // nobody
  for (const abi::ControlRequest& notice : lost) {
    control->ask(notice, "", {kMade});
    EXPECT_EQ(event_now().header.type, static_cast<std::uint8_t>(ControlEventType::undelivered));
  }
  EXPECT_EQ(node.counter(Counter::notices_lost), lost.size());
  EXPECT_EQ(node.counter(Counter::notices), 0u);
  for (int i = 0; i < 100; ++i) {  // the worker reads none of them
    control->ask(notice_to(kAsked, 1), std::string(1024, 'x'));
    node.turn();
  }
  EXPECT_EQ(node.counter(Counter::notices) + node.counter(Counter::notices_lost), lost.size() + 100);
  EXPECT_EQ(node.counter(Counter::notices), 65536 * 3 / 4 / 1088) << "the rest of its ring is for answers";
}

}  // namespace
}  // namespace pgrid::test
