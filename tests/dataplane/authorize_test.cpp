// Every way in which a right does not allow a message, each with its counter and what the sender is told; and
// that what is refused before the key was shown leaves no trace on the right.
#include "dataplane/authorize.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "tests/packets/message_builder.hpp"

namespace pgrid::dataplane {
namespace {

using abi::Counter;
using abi::Reason;

constexpr std::uint64_t kHz = 1'000'000'000;
constexpr std::uint64_t kNowUnix = 1'800'000'000'000'000'000;
constexpr std::array<std::uint8_t, 16> kKey{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

class Authorize : public testing::Test {
 protected:
  Authorize() {
    fields_.generation = 5;
    std::memcpy(fields_.key, kKey.data(), sizeof fields_.key);
    fields_.label = 99;
    fields_.target = 7;
    fields_.target_kind = abi::Target::process;
    fields_.permissions = abi::kMaySend;
    fields_.deadline_max_us = 1000;
    fields_.in_flight_max = 10;
    fields_.body_max = 100;
    publish();
  }
  void publish() { abi::write_right(slots_[2], fields_); }

  struct Asked {
    std::uint32_t slot = 2;
    std::uint32_t generation = 5;
    std::array<std::uint8_t, 16> key = kKey;
    std::size_t body = 10;
    std::uint32_t nb_rights = 0;
    std::uint64_t now = kHz;
  };
  std::expected<const AuthorizedMessage*, Refusal> ask(const Asked& asked) {
    to_ = RightOnWire(asked.slot, asked.generation, flatbuffers::make_span(asked.key));
    message_ =
        MessageView{.to = &to_, .nb_rights = asked.nb_rights, .body = std::span(body_).first(asked.body)};
    return authorizer_.authorize(message_, asked.now, kNowUnix);
  }
  void expect_refused(const Asked& asked, Counter counter, Reason reason, bool authorized) {
    const auto result = ask(asked);
    ASSERT_FALSE(result) << abi::name_of(counter);
    EXPECT_EQ(abi::name_of(result.error().counter), abi::name_of(counter));
    EXPECT_EQ(abi::name_of(result.error().reason), abi::name_of(reason));
    EXPECT_EQ(result.error().authorized, authorized);
    EXPECT_EQ(result.error().account, authorized ? &accounts_[2] : nullptr);
  }

  abi::RightFields fields_{};
  std::vector<abi::RightSlot> slots_{8};
  std::vector<abi::RightAccount> accounts_{8};
  Authorizer authorizer_{slots_, accounts_, 1, TickRate(kHz)};
  std::vector<std::byte> body_{2000};
  RightOnWire to_;
  MessageView message_;
};

TEST_F(Authorize, LetsAValidMessageIn) {
  const auto result = ask({.body = 100});
  ASSERT_TRUE(result);
  EXPECT_EQ((*result)->right().label(), 99u);
  EXPECT_EQ((*result)->right().target(), 7u);
  EXPECT_EQ((*result)->slot(), 2u);
  EXPECT_EQ(&(*result)->message(), &message_);
  EXPECT_EQ(accounts_[2].generation.load(), 5u);
}

TEST_F(Authorize, RefusesSlotsThatAreNotThere) {
  for (const std::uint32_t slot : {8u, 9u, 0x7fff'ffffu, 0x8000'0000u, 0x8000'0002u, ~0u})
    expect_refused({.slot = slot}, Counter::right_unknown, Reason::no_such_right, false);
  expect_refused({.slot = 0}, Counter::right_unknown, Reason::no_such_right, false);
  expect_refused({.slot = 7, .generation = 0, .key = {}}, Counter::right_unknown, Reason::no_such_right,
                 false);
}

TEST_F(Authorize, RefusesEveryWrongBitOfTheKey) {
  for (std::size_t bit = 0; bit < 128; ++bit) {
    Asked asked;
    asked.key[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    expect_refused(asked, Counter::right_wrong_key, Reason::no_such_right, false);
  }
}

TEST_F(Authorize, TellsOldGenerationsFromOnesThatNeverWere) {
  expect_refused({.generation = 4}, Counter::right_old_generation, Reason::no_such_right, false);
  expect_refused({.generation = 0}, Counter::right_old_generation, Reason::no_such_right, false);
  expect_refused({.generation = 6}, Counter::right_unknown, Reason::no_such_right, false);
}

TEST_F(Authorize, RefusesReleasedAndRevokedSlots) {
  fields_.target_kind = abi::Target::revoked;
  publish();
  expect_refused({}, Counter::right_revoked, Reason::no_such_right, false);
  fields_.target_kind = abi::Target::free;
  fields_.generation = 6;
  publish();
  expect_refused({}, Counter::right_old_generation, Reason::no_such_right, false);
  expect_refused({.generation = 6}, Counter::right_unknown, Reason::no_such_right, false);
}

TEST_F(Authorize, ExpiresAtTheNanosecond) {
  fields_.expires_unix_ns = kNowUnix + 1;
  publish();
  EXPECT_TRUE(ask({}));
  fields_.expires_unix_ns = kNowUnix;
  publish();
  expect_refused({}, Counter::right_expired, Reason::no_such_right, false);
}

TEST_F(Authorize, SaysBusyWhileControlIsWriting) {
  slots_[2].words[0] |= 1;  // as a control that died half-way leaves it
  expect_refused({}, Counter::right_being_written, Reason::busy, false);
}

TEST_F(Authorize, RefusesWhatTheRightDoesNotAllow) {
  expect_refused({.nb_rights = 1}, Counter::carried_rights_refused, Reason::not_permitted, true);
  expect_refused({.body = 101}, Counter::too_large, Reason::too_large, true);
  fields_.permissions = 0;
  publish();
  expect_refused({}, Counter::not_permitted, Reason::not_permitted, true);
  fields_.permissions = abi::kMaySend;
  for (const abi::Target later : {abi::Target::pool, abi::Target::peer, static_cast<abi::Target>(77)}) {
    fields_.target_kind = later;
    publish();
    expect_refused({}, Counter::not_permitted, Reason::not_permitted, true);
  }
}

TEST_F(Authorize, TakesATokenOnlyWhenEverythingElseHolds) {
  fields_.rate = 1;
  fields_.burst = 2;
  publish();
  expect_refused({.body = 101}, Counter::too_large, Reason::too_large, true);
  expect_refused({.nb_rights = 1}, Counter::carried_rights_refused, Reason::not_permitted, true);
  EXPECT_TRUE(ask({}));
  EXPECT_TRUE(ask({}));
  expect_refused({}, Counter::quota_exceeded, Reason::quota_exceeded, true);
  EXPECT_TRUE(ask({.now = 2 * kHz}));
}

TEST_F(Authorize, AReusedSlotStartsWithAFreshAccount) {
  fields_.rate = fields_.burst = 1;
  publish();
  EXPECT_TRUE(ask({}));
  accounts_[2].kept = 12;
  accounts_[2].in_flight = 3;
  fields_.generation = 6;
  publish();
  EXPECT_TRUE(ask({.generation = 6})) << "the bucket is full again";
  EXPECT_EQ(accounts_[2].kept.load(), 0u);
  EXPECT_EQ(accounts_[2].in_flight.load(), 0u);
  EXPECT_EQ(authorizer_.account_of(2, 5), nullptr) << "outcomes of the old right are nobody's";
  EXPECT_EQ(authorizer_.account_of(2, 6), &accounts_[2]);
}

TEST_F(Authorize, WhoShowsNoKeyLeavesNoTraceOnTheRight) {
  accounts_[2].generation = 4;
  accounts_[2].kept = 12;
  Asked asked;
  asked.key[0] ^= 1;
  expect_refused(asked, Counter::right_wrong_key, Reason::no_such_right, false);
  EXPECT_EQ(accounts_[2].generation.load(), 4u);
  EXPECT_EQ(accounts_[2].kept.load(), 12u);
}

// ---- rights that a process holds

class AuthorizeHeld : public Authorize {
 protected:
  std::expected<const AuthorizedMessage*, Refusal> ask_held(std::uint32_t slot, std::uint32_t generation,
                                                            std::size_t body = 10) {
    message_ = MessageView{.body = std::span(body_).first(body)};
    return authorizer_.authorize_held({HeldRight::Verdict::held, slot, generation}, message_, kHz, kNowUnix);
  }
  void expect_held_refused(std::uint32_t slot, std::uint32_t generation, Counter counter) {
    const auto result = ask_held(slot, generation);
    ASSERT_FALSE(result) << abi::name_of(counter);
    EXPECT_EQ(abi::name_of(result.error().counter), abi::name_of(counter));
    EXPECT_EQ(abi::name_of(result.error().reason), "no_such_right");
    EXPECT_FALSE(result.error().authorized);
  }
};

TEST_F(AuthorizeHeld, TheHandleStandsForTheKeyAndForNothingElse) {
  const auto result = ask_held(2, 5, 100);
  ASSERT_TRUE(result);
  EXPECT_EQ((*result)->right().label(), 99u);
  EXPECT_EQ((*result)->slot(), 2u);
  EXPECT_EQ(ask_held(2, 5, 101).error().counter, Counter::too_large);
  expect_held_refused(2, 4, Counter::right_old_generation);
  expect_held_refused(2, 6, Counter::right_unknown);
  expect_held_refused(3, 0, Counter::right_unknown);
  for (const std::uint32_t slot : {8u, 0x8000'0002u, ~0u}) expect_held_refused(slot, 5, Counter::right_unknown);
  fields_.expires_unix_ns = kNowUnix;
  publish();
  expect_held_refused(2, 5, Counter::right_expired);
  fields_.target_kind = abi::Target::revoked;
  publish();
  expect_held_refused(2, 5, Counter::right_revoked);
}

TEST_F(AuthorizeHeld, TheWholeRateIsOnTheHomeCore) {
  authorizer_ = Authorizer(slots_, accounts_, 4, TickRate(kHz));
  fields_.rate = fields_.burst = 8;
  publish();
  const auto tokens = [&](auto ask) {
    int taken = 0;
    while (ask() && taken < 100) ++taken;
    return taken;
  };
  EXPECT_EQ(tokens([&] { return ask({}).has_value(); }), 2) << "from the wire: a quarter on each of four poll cores";
  fields_.generation = 6;
  publish();
  EXPECT_EQ(tokens([&] { return ask_held(2, 6).has_value(); }), 8);
}

}  // namespace
}  // namespace pgrid::dataplane
