// Shows how guests ask others: requests through granted handles leave by the home poll core with what they inherit, what came
// of them returns as a message of its own, and neither floods nor restarts make an answer arrive where it does not belong.
#include "tests/dataplane/worker/worker_fixture.hpp"

#include "abi/guest/promisegrid.h"

namespace pgrid::worker {
namespace {

constexpr std::uint32_t kHolds4 = 1u << 4;

std::string negated(int error) { return std::string(1, static_cast<char>(-error)); }

pg_message ask_message(std::uint32_t handle, std::uint64_t id = 7) {
  pg_message message{};
  message.version = PG_ABI_VERSION;
  message.kind = PG_REQUEST;
  message.to = handle;
  std::memcpy(message.id, &id, sizeof id);
  return message;
}
std::string bytes_of(pg_message message, const std::string& body = {}) {
  message.body_length = static_cast<std::uint32_t>(body.size());
  return std::string(reinterpret_cast<const char*>(&message), sizeof message) + body;
}

class Asks : public WorkerTest {
 protected:
  void SetUp() override { load("asks", 5, kHolds4, 0, 0); }

  /// What the guest's send returns, negated.
  std::string ask(const pg_message& message, const std::string& body = {}) { return call(5, bytes_of(message, body)).body; }

  /// The poll core's part: what came of request `asked`.
  void answer_to(const Reply& asked, abi::Kind kind, abi::Reason reason, const std::string& body,
                 std::uint32_t left_us = 50'000) {
    abi::WorkerRequest header{};
    header.kind = static_cast<std::uint8_t>(kind);
    header.reason = static_cast<std::uint16_t>(reason);
    header.hops = static_cast<std::uint8_t>(asked.header.hops - 1);
    header.process = asked.header.process;
    header.reply_generation = asked.header.instance;
    header.deadline_us = left_us;
    header.label = 99;  // not the guest's to see
    std::memcpy(header.id, asked.header.id, sizeof header.id);
    header.dispatched_tsc = core_.clock().now();
    write(header, body, 0);
  }
  std::vector<Reply> sent() { return take_told(abi::ReplyType::send); }
  /// Messages other than requests that the guest read, as it saw them.
  std::vector<std::pair<pg_message, std::string>> seen() {
    std::vector<std::pair<pg_message, std::string>> messages;
    for (const Reply& line : take_told(abi::ReplyType::log)) {
      pg_message message;
      std::memcpy(static_cast<void*>(&message), line.body.data(), sizeof message);
      messages.emplace_back(message, line.body.substr(sizeof message));
    }
    return messages;
  }
};

TEST_F(Asks, RequestLeavesByHomeCore) {
  EXPECT_EQ(ask(ask_message(4, 0x1122), "question"), negated(0));
  const auto found = sent();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].kind(), abi::Kind::request);
  EXPECT_EQ(found[0].header.process, 5u);
  EXPECT_EQ(found[0].header.process_generation, 1u);
  EXPECT_NE(found[0].header.instance, 0u);
  EXPECT_EQ(found[0].header.to_slot, 4u);
  EXPECT_EQ(found[0].header.id[0], 0x22);
  EXPECT_EQ(found[0].header.id[1], 0x11);
  EXPECT_EQ(found[0].header.hops, 1u);
  EXPECT_EQ(found[0].body, "question");
}

TEST_F(Asks, AnswerArrivesAsMessage) {
  ask(ask_message(4, 0x1122));
  answer_to(sent().at(0), abi::Kind::answer, abi::Reason::none, "the answer", 1234);
  run();
  const auto found = seen();
  ASSERT_EQ(found.size(), 1u);
  const auto& [message, body] = found[0];
  EXPECT_EQ(message.version, PG_ABI_VERSION);
  EXPECT_EQ(message.kind, PG_ANSWER);
  EXPECT_EQ(message.reason, PG_REASON_NONE);
  EXPECT_EQ(message.to, PG_HANDLE_SELF);
  EXPECT_EQ(message.reply, PG_HANDLE_NONE);
  EXPECT_EQ(message.id[0], 0x22);
  EXPECT_EQ(message.label, 0u);
  EXPECT_EQ(message.deadline_us, 1234u);
  EXPECT_EQ(body, "the answer");
}

TEST_F(Asks, RefusalArrivesWithItsReason) {
  ask(ask_message(4));
  answer_to(sent().at(0), abi::Kind::non_commitment, abi::Reason::no_such_right, "", 0);  // nothing left, still shown
  run();
  const auto found = seen();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].first.kind, PG_NON_COMMITMENT);
  EXPECT_EQ(found[0].first.reason, PG_NO_SUCH_RIGHT);
}

TEST_F(Asks, OnlyRequestsThroughHeldHandles) {
  for (const std::uint32_t handle : {0u, 1u, 5u, 18u, 19u, 31u, 32u, 36u, 63u, 64u, 68u, 0x7fff'ffffu})
    EXPECT_EQ(ask(ask_message(handle)), negated(PG_ERROR_HANDLE)) << handle;
  for (const std::uint8_t kind : {PG_ANSWER, PG_NON_COMMITMENT, PG_NOTICE}) {
    pg_message message = ask_message(4);
    message.kind = kind;
    EXPECT_EQ(ask(message), negated(PG_ERROR_MESSAGE)) << int{kind};
  }
  pg_message message = ask_message(4);
  message.reason = PG_BUSY;
  EXPECT_EQ(ask(message), negated(PG_ERROR_MESSAGE));
  message = ask_message(4);
  message.reply = 2;
  EXPECT_EQ(ask(message), negated(PG_ERROR_MESSAGE));
  message.reply = PG_HANDLE_SELF;
  EXPECT_EQ(ask(message), negated(0));
  EXPECT_EQ(sent().size(), 1u);
}

TEST_F(Asks, HandlesComeAndGo) {
  core_.set_handle(5, 1, 9, true);
  EXPECT_EQ(ask(ask_message(9)), negated(0));
  core_.set_handle(5, 1, 9, false);
  EXPECT_EQ(ask(ask_message(9)), negated(PG_ERROR_HANDLE));
  core_.set_handle(5, 2, 9, true);  // of another generation
  core_.set_handle(5, 1, 2, true);  // not one that is granted
  core_.set_handle(77, 1, 9, true);
  core_.set_handle(5, 1, 19, true);
  EXPECT_EQ(ask(ask_message(9)), negated(PG_ERROR_HANDLE));
  EXPECT_EQ(ask(ask_message(19)), negated(PG_ERROR_HANDLE));
  EXPECT_EQ(ask(ask_message(4)), negated(0));
}

TEST_F(Asks, TimeIsInherited) {
  const auto deadline_of = [&](std::uint32_t asked) {
    pg_message message = ask_message(4);
    message.deadline_us = asked;
    request(5, bytes_of(message), 1);  // has 100,000 us
    core_.clock().skip_us(30'000);
    run();
    return sent().at(0).header.deadline_us;
  };
  // The test itself takes a little of the clock's time.
  EXPECT_NEAR(deadline_of(0), 70'000, 1000);
  EXPECT_NEAR(deadline_of(90'000), 70'000, 1000);
  EXPECT_EQ(deadline_of(5), 5u);
}

TEST_F(Asks, NoTimeLeftIsOneMicrosecond) {
  abi::WorkerRequest header{};
  header.process = 5;
  header.deadline_us = 0;
  header.reply_slot = abi::send_once_slot(0, 1);
  header.dispatched_tsc = core_.clock().now();
  write(header, bytes_of(ask_message(4)), 0);
  run();
  EXPECT_EQ(sent().at(0).header.deadline_us, 1u);
}

TEST_F(Asks, HopsAreCounted) {
  abi::WorkerRequest header{};
  header.process = 5;
  header.deadline_us = 1000;
  header.dispatched_tsc = core_.clock().now();
  for (const std::uint8_t hops : {std::uint8_t{0}, std::uint8_t{7}, std::uint8_t{8}, std::uint8_t{255}}) {  // beyond the limit too: to refuse is the poll core's part
    header.reply_slot = abi::send_once_slot(0, hops);
    header.hops = hops;
    write(header, bytes_of(ask_message(4)), 0);
    run();
    EXPECT_EQ(sent().at(0).header.hops, std::min(hops + 1, 255));
  }
}

TEST_F(Asks, BeforeAnyMessageHopsAreOne) {
  load("asks_at_init", 6, kHolds4, 0, 0);
  run();
  const auto found = sent();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].body, "early");
  EXPECT_EQ(found[0].header.hops, 1u);
  EXPECT_EQ(found[0].header.deadline_us, 0u);  // the right's
}

TEST_F(Asks, WaitingRequestsAreBounded) {
  std::uint32_t taken = 0;
  while (taken < 1000 && ask(ask_message(4)) == negated(0)) ++taken;
  const std::uint32_t of_process = abi::guest_requests_max(kGeometry) - abi::guest_requests_max(kGeometry) / 4;
  EXPECT_EQ(taken, of_process);
  EXPECT_EQ(ask(ask_message(4)), negated(PG_ERROR_BUSY));
  // Others have their own part, until all of it is used.
  std::uint32_t of_others = 0;
  for (const std::uint32_t process : {6u, 7u, 8u, 9u}) {
    load("asks", process, kHolds4, 0, 0);
    while (of_others < 1000 && call(process, bytes_of(ask_message(4))).body == negated(0)) ++of_others;
  }
  EXPECT_EQ(taken + of_others, abi::guest_requests_max(kGeometry));
  // What came of one makes room for one.
  const auto asked = sent();
  ASSERT_EQ(asked.size(), taken + of_others);
  answer_to(asked[0], abi::Kind::answer, abi::Reason::none, "");
  run();
  EXPECT_EQ(ask(ask_message(4)), negated(0));
  EXPECT_EQ(ask(ask_message(4)), negated(PG_ERROR_BUSY));
}

TEST_F(Asks, AnswersFitAFullMailbox) {
  ask(ask_message(4));
  const Reply asked = sent().at(0);
  for (std::uint32_t i = 0; i < 64; ++i) request(5, "no message", i);
  answer_to(asked, abi::Kind::answer, abi::Reason::none, "fits");
  request(5, "no message", 64);
  run();
  const auto refused = answer();
  EXPECT_EQ(refused->reason(), abi::Reason::busy);
  EXPECT_EQ(refused->header.to_slot, abi::send_once_slot(0, 64));
  while (answer()) {
  }
  ASSERT_EQ(seen().size(), 1u);
}

TEST_F(Asks, NextInstanceGetsNoAnswersOfTheLast) {
  load("asks", 6, kHolds4, 0, 0);
  call(6, bytes_of(ask_message(4)));
  call(6, bytes_of(ask_message(4)));
  const auto asked = sent();
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(call(6, "trap").reason(), abi::Reason::broken);
  answer_to(asked[0], abi::Kind::answer, abi::Reason::none, "late");
  run();
  EXPECT_TRUE(seen().empty());
  // The other was counted all the time, and is not any more when it has come.
  const std::uint32_t of_process = abi::guest_requests_max(kGeometry) - abi::guest_requests_max(kGeometry) / 4;
  for (std::uint32_t i = 1; i < of_process; ++i) EXPECT_EQ(call(6, bytes_of(ask_message(4))).body, negated(0)) << i;
  EXPECT_EQ(call(6, bytes_of(ask_message(4))).body, negated(PG_ERROR_BUSY));
  answer_to(asked[1], abi::Kind::non_commitment, abi::Reason::no_answer, "");
  EXPECT_EQ(call(6, bytes_of(ask_message(4))).body, negated(0));
}

TEST_F(Asks, TrapDropsAnswersThatWait) {
  for (int i = 0; i < 100; ++i) {  // more than may wait: none is counted for ever
    EXPECT_EQ(ask(ask_message(4)), negated(0)) << i;
    const auto asked = sent();
    ASSERT_EQ(asked.size(), 1u);
    request(5, "before", 2);
    request(5, "trap", 3);
    answer_to(asked[0], abi::Kind::answer, abi::Reason::none, "for the one that trapped");
    request(5, "after", 4);
    run();
    EXPECT_EQ(answer()->body, negated(PG_ERROR_LENGTH));
    EXPECT_EQ(answer()->reason(), abi::Reason::broken);
    EXPECT_EQ(answer()->body, negated(PG_ERROR_LENGTH));
  }
  EXPECT_TRUE(seen().empty());
}

TEST_F(Asks, NobodyIsThereForTheAnswer) {
  load("asks_at_init", 6, kHolds4, 0, 0);
  run();
  const auto asked = sent();
  ASSERT_EQ(asked.size(), 1u);
  ASSERT_NE(core_.detach(6, 1), nullptr);
  answer_to(asked[0], abi::Kind::answer, abi::Reason::none, "nobody's");
  run();
  EXPECT_FALSE(reply());
}

TEST_F(Asks, UnreadAnswersAreDropped) {
  load("asks_unread", 6, kHolds4, 0, 0);
  request(6, "wakes it", 1);
  run();
  while (answer()) {
  }
  const auto asked = sent();
  ASSERT_EQ(asked.size(), kOffersMax);  // once for each activation that was offered the message
  for (const Reply& one : asked) answer_to(one, abi::Kind::answer, abi::Reason::none, "unread");
  run();
  EXPECT_FALSE(core_.turn());
  EXPECT_FALSE(answer());  // to an answer nobody answers
  // Each of its requests is answered, none is read: it goes on asking only because room is made for new ones.
  std::uint32_t rounds = 0;
  for (auto more = sent(); !more.empty() && rounds < 100; more = sent(), ++rounds) {
    for (const Reply& one : more) answer_to(one, abi::Kind::answer, abi::Reason::none, "unread");
    run();
  }
  EXPECT_EQ(rounds, 100u);
}

TEST_F(Asks, AnswersNobodyAskedForAreDropped) {
  Reply asked{};
  asked.header.hops = 1;
  for (const std::uint32_t process : {5u, 6u, abi::kProcessesMax, ~0u})
    for (const std::uint32_t incarnation : {0u, 77u, ~0u}) {
      asked.header.process = process;
      asked.header.instance = incarnation;
      answer_to(asked, abi::Kind::answer, abi::Reason::none, "made up");
    }
  run();
  EXPECT_TRUE(seen().empty());
  EXPECT_FALSE(answer());
  EXPECT_EQ(ask(ask_message(4)), negated(0));
}

TEST_F(Asks, RequestsLeaveRoomForAnswers) {
  const std::string question(960, 'x');
  std::uint32_t answers = 0;
  for (std::uint32_t i = 0; i < 400; ++i) {  // nobody reads the reply ring meanwhile
    request(5, bytes_of(ask_message(4), question), i & 255);
    run();
  }
  for (auto one = reply(); one; one = reply()) answers += one->type() == abi::ReplyType::answer;
  EXPECT_EQ(answers, 400u);
}

}  // namespace
}  // namespace pgrid::worker
