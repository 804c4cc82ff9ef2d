// Shows what a worker does with rights in messages: a guest passes on what it holds and nothing else, gets what comes with a
// message when it reads it, and every handle that nobody holds any more is given back, once, when no poll core can mistake it.
#include <array>
#include <bit>

#include "abi/guest/promisegrid.h"
#include "tests/dataplane/worker/worker_fixture.hpp"

namespace pgrid::worker {
namespace {

constexpr std::uint32_t kMe = 5;
constexpr std::uint32_t kGeneration = 0x1234'5678;
using Handles = std::array<std::uint32_t, 4>;

std::string negated(int error) { return std::string(1, static_cast<char>(-error)); }
std::uint64_t bits(std::initializer_list<std::uint32_t> handles) {
  std::uint64_t mask = 0;
  for (const std::uint32_t handle : handles) mask |= std::uint64_t{1} << handle;
  return mask;
}

class Carry : public WorkerTest {
 protected:
  void SetUp() override { load_passer(); }
  void load_passer(std::uint32_t generation = kGeneration) {
    auto made = slot("passes_on", kMe, generation);
    made->handles = bits({4, 5});
    made->limits.restarts_max = 0;
    auto attached = core_.attach(std::move(made));
    ASSERT_TRUE(attached.ok) << attached.text;
  }

  /// A message that carries handles; mode 2 moves.
  static std::string carrying(std::uint32_t to, Handles handles, std::array<std::uint8_t, 4> modes, std::uint8_t kind = PG_REQUEST,
                              std::uint8_t version = PG_ABI_VERSION) {
    pg_message message{};
    message.version = version;
    message.kind = kind;
    message.to = to;
    std::memcpy(message.rights, handles.data(), sizeof message.rights);
    std::memcpy(message.rights_mode, modes.data(), sizeof message.rights_mode);
    return std::string(reinterpret_cast<const char*>(&message), sizeof message);
  }
  /// An answer to the request in which it comes.
  static std::string answering(Handles handles, std::array<std::uint8_t, 4> modes) {
    return carrying(0, handles, modes, PG_ANSWER, 2);
  }
  std::string ask(const std::string& message) { return call(kMe, message).body; }

  abi::WorkerRequest incoming(abi::Kind kind, std::initializer_list<std::uint32_t> handles, std::uint32_t generation = kGeneration) {
    abi::WorkerRequest header{};
    header.kind = static_cast<std::uint8_t>(kind);
    header.process = kMe;
    header.deadline_us = 100'000;
    header.dispatched_tsc = core_.clock().now();
    std::size_t i = 0;
    for (const std::uint32_t handle : handles) header.rights[i++] = abi::carried_handle(handle, generation);
    return header;
  }
  abi::WorkerRequest incoming_request(std::initializer_list<std::uint32_t> handles, std::uint32_t entry = 100,
                                      std::uint32_t core = 0) {
    abi::WorkerRequest header = incoming(abi::Kind::request, handles);
    header.reply_slot = abi::send_once_slot(core, entry);
    header.reply_generation = 7;
    return header;
  }
  /// The guest holds these from now on.
  void bring(std::initializer_list<std::uint32_t> handles) {
    write(incoming(abi::Kind::notice, handles), "for you", 0);
    run();
    ASSERT_EQ(seen().size(), 1u);
  }
  std::vector<pg_message> seen() {
    std::vector<pg_message> messages;
    for (const Reply& line : take_told(abi::ReplyType::log)) {
      pg_message message;
      std::memcpy(static_cast<void*>(&message), line.body.data(), sizeof message);
      messages.push_back(message);
    }
    return messages;
  }
  /// Handles given back since this was asked last, each once.
  std::uint64_t given_back(std::uint32_t generation = kGeneration) {
    std::uint64_t all = 0;
    for (const Reply& drop : take_told(abi::ReplyType::drop)) {
      std::uint64_t handles = 0;
      EXPECT_EQ(drop.body.size(), sizeof handles);
      std::memcpy(&handles, drop.body.data(), sizeof handles);
      EXPECT_EQ(all & handles, 0u) << "given back twice";
      EXPECT_EQ(drop.header.process, kMe);
      notices_lost_ += drop.header.to_slot;
      if (drop.header.to_slot == 0) {
        EXPECT_TRUE(abi::is_same_generation(drop.header.process_generation, generation));
      }
      all |= handles;
    }
    return all;
  }
  std::uint32_t notices_lost_ = 0;  // told with what was given back
  std::vector<Reply> sent() { return take_told(abi::ReplyType::send); }
};

// ---- what comes in

TEST_F(Carry, HandlesComeWithAMessageAndAreHeldFromThenOn) {
  EXPECT_EQ(ask(carrying(20, {}, {})), negated(PG_ERROR_HANDLE));
  write(incoming(abi::Kind::notice, {20, 63, 19}), "three", 0);
  EXPECT_EQ(ask(carrying(20, {}, {})), negated(0)) << "the notice was read before";
  const auto messages = seen();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].kind, PG_NOTICE);
  EXPECT_EQ(messages[0].reply, PG_HANDLE_NONE);
  EXPECT_EQ((Handles{messages[0].rights[0], messages[0].rights[1], messages[0].rights[2], messages[0].rights[3]}),
            (Handles{20, 63, 19, 0}));
  EXPECT_EQ(messages[0].rights_mode[0] | messages[0].rights_mode[1], 0);
  for (const std::uint32_t handle : {19u, 63u}) EXPECT_EQ(ask(carrying(handle, {}, {})), negated(0));
  EXPECT_EQ(ask(carrying(21, {}, {})), negated(PG_ERROR_HANDLE));
  EXPECT_EQ(given_back(), 0u);
}

TEST_F(Carry, AnswersAndRefusalsBringHandlesToo) {
  EXPECT_EQ(ask(carrying(4, {}, {})), negated(0));
  const auto asked = sent();
  ASSERT_EQ(asked.size(), 1u);
  abi::WorkerRequest answer = incoming(abi::Kind::answer, {33});
  answer.reply_generation = asked[0].header.instance;
  write(answer, "", 0);
  EXPECT_EQ(ask(carrying(33, {}, {})), negated(0));
  EXPECT_EQ(seen().at(0).rights[0], 33u);
}

TEST_F(Carry, WhatIsNoCarriedHandleIsNotGiven) {
  abi::WorkerRequest header = incoming(abi::Kind::notice, {20});
  header.rights[1] = abi::carried_handle(6, kGeneration);  // a grant is control's to give
  header.rights[2] = abi::carried_handle(2, kGeneration);
  header.rights[3] = ~0u;
  write(header, "", 0);
  run();
  const auto messages = seen();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ((Handles{messages[0].rights[0], messages[0].rights[1], messages[0].rights[2], messages[0].rights[3]}),
            (Handles{20, 0, 0, 63}));
  EXPECT_EQ(ask(carrying(6, {}, {})), negated(PG_ERROR_HANDLE));
}

// ---- what goes out

TEST_F(Carry, CopiesAndMoves) {
  bring({20, 21});
  EXPECT_EQ(ask(carrying(4, {5, 20, 21}, {1, 1, 2})), negated(0));
  const auto found = sent();
  ASSERT_EQ(found.size(), 1u);
  const abi::WorkerReply& header = found[0].header;
  EXPECT_EQ((Handles{header.rights[0], header.rights[1], header.rights[2], header.rights[3]}), (Handles{5, 20, 21, 0}));
  EXPECT_EQ(header.rights_mode[0], 1);
  EXPECT_EQ(header.rights_mode[2], 2);
  EXPECT_EQ(header.rights_mode[3], 0);
  EXPECT_EQ(header.process_generation, kGeneration);
  EXPECT_EQ(ask(carrying(20, {}, {})), negated(0));
  EXPECT_EQ(ask(carrying(21, {}, {})), negated(PG_ERROR_HANDLE)) << "moved";
  EXPECT_EQ(ask(carrying(4, {21}, {2})), negated(PG_ERROR_HANDLE)) << "and cannot be moved again";
  EXPECT_EQ(given_back(), 0u) << "the poll core knows";
}

TEST_F(Carry, AnAnswerCarriesThem) {
  bring({20, 21});
  request(kMe, answering({20, 21}, {1, 2}), 9, 1);
  run();
  const auto found = answer(1);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind(), abi::Kind::answer);
  EXPECT_EQ(found->header.to_slot, abi::send_once_slot(1, 9));
  EXPECT_EQ(found->header.process_generation, kGeneration);
  EXPECT_EQ(found->header.rights[0], 20u);
  EXPECT_EQ(found->header.rights_mode[1], 2);
  EXPECT_EQ(ask(carrying(20, {}, {})), negated(0));
  EXPECT_EQ(ask(carrying(21, {}, {})), negated(PG_ERROR_HANDLE));
}

TEST_F(Carry, ControlIsAskedWithThem) {
  bring({20});
  EXPECT_EQ(ask(carrying(PG_HANDLE_CONTROL, {20}, {2})), negated(0));
  const auto found = sent();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].header.to_slot, abi::kHandleControl);
  EXPECT_EQ(found[0].header.rights[0], 20u);
}

TEST_F(Carry, NothingElseIsPassedOn) {
  bring({20, 21});
  struct Case {
    const char* what;
    std::string message;
    int error;
  };
  const Case cases[] = {
      {"not held", carrying(4, {22}, {1}), PG_ERROR_HANDLE},
      {"one of four not held", carrying(4, {20, 21, 5, 22}, {1, 1, 1, 1}), PG_ERROR_HANDLE},
      {"itself", carrying(4, {1}, {1}), PG_ERROR_HANDLE},
      {"control", carrying(4, {2}, {1}), PG_ERROR_HANDLE},
      {"the log", carrying(4, {3}, {1}), PG_ERROR_HANDLE},
      {"none", carrying(4, {0}, {1}), PG_ERROR_HANDLE},
      {"64", carrying(4, {64}, {1}), PG_ERROR_HANDLE},
      {"84, which is 20 and 64", carrying(4, {84}, {1}), PG_ERROR_HANDLE},
      {"all ones", carrying(4, {~0u}, {2}), PG_ERROR_HANDLE},
      {"a reply handle", carrying(4, {0x8000'0000u}, {1}), PG_ERROR_HANDLE},
      {"a grant, moved", carrying(4, {5}, {2}), PG_ERROR_HANDLE},
      {"moved twice", carrying(4, {20, 20}, {2, 2}), PG_ERROR_HANDLE},
      {"moved and copied", carrying(4, {20, 20}, {2, 1}), PG_ERROR_HANDLE},
      {"copied and moved", carrying(4, {20, 20}, {1, 2}), PG_ERROR_HANDLE},
      {"mode 3", carrying(4, {20}, {3}), PG_ERROR_MESSAGE},
      {"mode 255", carrying(4, {20}, {255}), PG_ERROR_MESSAGE},
      {"a gap", carrying(4, {20, 0, 21}, {1, 0, 1}), PG_ERROR_MESSAGE},
      {"through a handle that is not held", carrying(22, {20}, {2}), PG_ERROR_HANDLE},
      {"to the log", carrying(PG_HANDLE_LOG, {20}, {2}, PG_NOTICE), PG_ERROR_MESSAGE},
      {"a notice to a handle", carrying(4, {20}, {2}, PG_NOTICE), PG_ERROR_MESSAGE},
      {"an answer to a handle", carrying(4, {20}, {2}, PG_ANSWER), PG_ERROR_MESSAGE},
      {"a no", carrying(0, {20}, {2}, PG_NON_COMMITMENT, 2), PG_ERROR_MESSAGE},
      {"a request as the answer", carrying(0, {20}, {2}, PG_REQUEST, 2), PG_ERROR_MESSAGE},
  };
  for (const Case& c : cases) EXPECT_EQ(ask(c.message), negated(c.error)) << c.what;
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(ask(carrying(4, {20, 21, 20}, {1, 2, 1})), negated(0)) << "all of them are still held";
}

TEST_F(Carry, WhatIsRefusedByThePollCoreComesBack) {
  bring({20, 21});
  EXPECT_EQ(ask(carrying(4, {20, 21}, {2, 2})), negated(0));
  const auto found = sent();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(ask(carrying(20, {}, {})), negated(PG_ERROR_HANDLE));
  abi::WorkerRequest refusal = incoming(abi::Kind::non_commitment, {20, 21});
  refusal.reason = static_cast<std::uint16_t>(abi::Reason::busy);
  refusal.reply_generation = found[0].header.instance;
  write(refusal, "", 0);
  EXPECT_EQ(ask(carrying(20, {}, {})), negated(0));
  EXPECT_EQ(ask(carrying(21, {}, {})), negated(0));
  EXPECT_EQ(given_back(), 0u);
}

// ---- what is given back

TEST_F(Carry, AnInstanceThatEndsGivesBackWhatItHeld) {
  bring({20, 63});
  write(incoming_request({30}), "trap: brought with the message in hand", 0);
  run();
  EXPECT_EQ(given_back(), bits({20, 30, 63}));
  EXPECT_EQ(ask(carrying(20, {}, {})), negated(PG_ERROR_HANDLE)) << "the next one has nothing of it";
  EXPECT_EQ(ask(carrying(4, {}, {})), negated(0)) << "but what control granted";
  EXPECT_EQ(call(kMe, "trap").reason(), abi::Reason::broken);
  EXPECT_EQ(given_back(), 0u);
}

TEST_F(Carry, UnreadMessagesKeepTheirsForTheNextInstance) {
  write(incoming_request({20}, 1), "trap", 0);
  write(incoming_request({21}, 2), "unread when the other one trapped", 0);
  run();
  EXPECT_EQ(given_back(), bits({20}));
  EXPECT_EQ(ask(carrying(21, {}, {})), negated(0));
}

TEST_F(Carry, MessagesThatNobodyReadsGiveTheirsBack) {
  const auto stale_answer = [&](abi::Kind kind) {
    abi::WorkerRequest header = incoming(kind, {20, 40});
    header.reply_generation = 4711;
    return header;
  };
  for (const abi::Kind kind : {abi::Kind::answer, abi::Kind::non_commitment, abi::Kind::notice}) {
    write(stale_answer(kind), "for an instance that is gone", 0);
    run();
    EXPECT_EQ(given_back(), bits({20, 40})) << abi::name_of(kind);
  }
  EXPECT_EQ(notices_lost_, 1u);

  abi::WorkerRequest late = incoming_request({20});
  write(late, "past its deadline", 0);
  core_.clock().skip_us(1'000'000);
  write(incoming_request({21}), "in time", 0);
  ticker_.pass(2 * kTickNs);  // so that the clock is read again
  run();
  EXPECT_EQ(given_back(), bits({20}));
  (void)seen();

  for (std::uint32_t i = 0; i < 64; ++i) request(kMe, "no message", i);
  write(incoming_request({22, 23}), "the mailbox is full", 0);
  write(incoming(abi::Kind::notice, {24}), "the mailbox is full", 0);
  run();
  EXPECT_EQ(given_back(), bits({22, 23, 24}));
  EXPECT_EQ(notices_lost_, 2u);

  write(incoming_request({25}), "still in the ring when it goes", 0);
  ASSERT_NE(core_.detach(kMe, kGeneration), nullptr);
  write(incoming_request({26}), "not loaded", 0);
  run();
  EXPECT_EQ(given_back(), bits({21, 25, 26})) << "21 was held";
}

TEST_F(Carry, WhatWasForTheProcessThatHadTheIndexBeforeIsRefused) {
  ASSERT_NE(core_.detach(kMe, kGeneration), nullptr);
  load_passer(kGeneration + 1);
  write(incoming_request({20}), "for the last one", 0);
  run();
  const auto refused = answer();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->reason(), abi::Reason::busy);
  EXPECT_EQ(given_back(), bits({20}));
  EXPECT_EQ(ask(carrying(20, {}, {})), negated(PG_ERROR_HANDLE));
}

TEST_F(Carry, NothingIsGivenBackWhileAnotherPollCoreMayStillReadItsNumber) {
  bring({20, 21, 22});
  request(kMe, answering({20}, {1}), 9, 1);  // by way of core 1, which does not read now
  run();
  EXPECT_EQ(ask(carrying(4, {21}, {2})), negated(PG_ERROR_BUSY)) << "it could be given out anew before core 1 reads its answer";
  EXPECT_EQ(ask(carrying(4, {21}, {1})), negated(0));
  EXPECT_EQ(call(kMe, "trap").reason(), abi::Reason::broken);
  EXPECT_EQ(given_back(), 0u);
  EXPECT_TRUE(answer(1));
  run();
  core_.turn();
  EXPECT_EQ(given_back(), bits({20, 21, 22}));
}

TEST_F(Carry, WhatFindsNoRoomIsGivenBackLater) {
  bring({20});
  pg_message line{};
  line.version = PG_ABI_VERSION;
  line.kind = PG_NOTICE;
  line.to = PG_HANDLE_LOG;
  line.body_length = 900;
  const std::string text = std::string(reinterpret_cast<const char*>(&line), sizeof line) + std::string(900, 'x');
  for (std::uint32_t i = 0; i < 200; ++i) {  // nobody reads the reply ring meanwhile
    request(kMe, text, i);
    run();
  }
  request(kMe, "trap", 201);
  run();
  while (core_.turn()) {
  }
  EXPECT_EQ(given_back(), 0u);
  core_.turn();
  EXPECT_EQ(given_back(), bits({20}));
}

}  // namespace
}  // namespace pgrid::worker
