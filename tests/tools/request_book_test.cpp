// Shows that pgrid-load's accounts are right: every request ends once, sent = answered + non-commitments + lost + waiting at
// every moment, and what comes twice, late or from nowhere is told apart. No clock: times are given.
#include "tools/load/request_book.hpp"

#include <gtest/gtest.h>

#include <random>

namespace pgrid::tools {
namespace {

constexpr auto kAnswer = abi::Kind::answer;
constexpr auto kNo = abi::Kind::non_commitment;
constexpr auto kNone = abi::Reason::none;

void expect_balanced(const RequestBook& book) {
  const Tallies& t = book.tallies();
  ASSERT_EQ(t.sent, t.answered + t.non_commitments() + t.lost + book.waiting());
}

TEST(RequestBook, AnAnswerIsCountedOnce) {
  RequestBook book(8, 100);
  book.sent(10, 10);
  EXPECT_EQ(book.settle(0, 35, kAnswer, kNone), RequestBook::Settled::counted);
  EXPECT_EQ(book.settle(0, 36, kAnswer, kNone), RequestBook::Settled::duplicated);
  EXPECT_EQ(book.tallies().answered, 1u);
  EXPECT_EQ(book.tallies().duplicated, 1u);
  EXPECT_EQ(book.tallies().round_trip.max(), 25u);
  expect_balanced(book);
}

TEST(RequestBook, NonCommitmentsAreCountedByReason) {
  RequestBook book(8, 100);
  for (int i = 0; i < 4; ++i) book.sent(0, 0);
  book.settle(0, 1, kNo, abi::Reason::busy);
  book.settle(1, 1, kNo, abi::Reason::busy);
  book.settle(2, 1, kNo, abi::Reason::process_failed);
  book.settle(3, 1, kNo, static_cast<abi::Reason>(999));
  EXPECT_EQ(book.tallies().refused[static_cast<std::size_t>(abi::Reason::busy)], 2u);
  EXPECT_EQ(book.tallies().refused[static_cast<std::size_t>(abi::Reason::process_failed)], 1u);
  EXPECT_EQ(book.tallies().refused[abi::kReasonCount], 1u);
  EXPECT_EQ(book.tallies().round_trip.count(), 0u) << "round trips are those of answers";
  expect_balanced(book);
}

TEST(RequestBook, LostAtTheTimeoutNotBefore) {
  RequestBook book(8, 100);
  book.sent(10, 10);
  EXPECT_EQ(book.next_expiry_ns(), 110u);
  book.expire(109);
  EXPECT_EQ(book.tallies().lost, 0u);
  book.expire(110);
  EXPECT_EQ(book.tallies().lost, 1u);
  EXPECT_EQ(book.next_expiry_ns(), ~0ull);
  expect_balanced(book);
}

TEST(RequestBook, ALateAnswerLeavesTheRequestLost) {
  RequestBook book(8, 100);
  book.sent(0, 0);
  book.expire(200);
  EXPECT_EQ(book.settle(0, 201, kAnswer, kNone), RequestBook::Settled::late);
  EXPECT_EQ(book.settle(0, 202, kAnswer, kNone), RequestBook::Settled::duplicated);
  EXPECT_EQ(book.tallies().lost, 1u);
  EXPECT_EQ(book.tallies().late, 1u);
  EXPECT_EQ(book.tallies().answered, 0u);
  expect_balanced(book);
}

TEST(RequestBook, WhatWasNeverSentIsUnexpected) {
  RequestBook book(4, 100);
  EXPECT_EQ(book.settle(0, 1, kAnswer, kNone), RequestBook::Settled::unexpected);
  EXPECT_EQ(book.settle(~0ull, 1, kAnswer, kNone), RequestBook::Settled::unexpected);
  for (int i = 0; i < 5; ++i) {
    book.sent(0, 0);
    book.settle(static_cast<std::uint64_t>(i), 1, kAnswer, kNone);
    book.expire(1);
  }
  EXPECT_EQ(book.settle(0, 1, kAnswer, kNone), RequestBook::Settled::unexpected) << "number 4 took its place";
  EXPECT_EQ(book.settle(1, 1, kAnswer, kNone), RequestBook::Settled::duplicated);
  EXPECT_EQ(book.tallies().answered, 5u);
}

TEST(RequestBook, RoomEndsBeforeAWaitingRequestIsForgotten) {
  RequestBook book(4, 100);
  for (int i = 0; i < 4; ++i) book.sent(0, 0);
  EXPECT_EQ(book.room(), 0u);
  for (std::uint64_t i = 1; i < 4; ++i) book.settle(i, 1, kAnswer, kNone);
  book.expire(1);
  EXPECT_EQ(book.room(), 0u) << "number 0 still waits";
  book.settle(0, 1, kAnswer, kNone);
  book.expire(1);
  EXPECT_EQ(book.room(), 4u);
}

TEST(RequestBook, RoundTripsCountFromWhenARequestWasDue) {
  RequestBook book(4, 100);
  book.sent(50, 10);  // 40 ns behind schedule
  book.settle(0, 60, kAnswer, kNone);
  EXPECT_EQ(book.tallies().round_trip.max(), 50u);
}

TEST(RequestBook, BalancesWhateverHappens) {
  std::mt19937 random(4646);
  RequestBook book(64, 50);
  for (std::uint64_t now = 0; now < 20'000; ++now) {
    if (book.room() > 0 && random() % 2 == 0) book.sent(now, now);
    const std::uint64_t sequence = book.next_sequence() - random() % 80;
    const auto kind = random() % 4 == 0 ? kNo : kAnswer;
    book.settle(sequence, now, kind, kind == kNo ? static_cast<abi::Reason>(random() % 14) : kNone);
    book.expire(now);
    expect_balanced(book);
  }
  book.expire(100'000);
  EXPECT_EQ(book.waiting(), 0u);
  EXPECT_GT(book.tallies().late, 0u);
  EXPECT_GT(book.tallies().lost, 0u);
  expect_balanced(book);
}

TEST(LatencyHistogram, PercentilesAreWithinOnePercent) {
  LatencyHistogram histogram;
  for (std::uint64_t i = 1; i <= 100'000; ++i) histogram.add(i * 1000);
  const std::pair<double, double> wanted[] = {{0.5, 50e6}, {0.9, 90e6}, {0.99, 99e6}, {0.999, 99.9e6}};
  for (const auto& [part, value] : wanted) {
    const auto found = static_cast<double>(histogram.percentile(part));
    EXPECT_GE(found, value) << part;
    EXPECT_LE(found, value * 1.01) << part;
  }
  EXPECT_EQ(histogram.percentile(1), 100'000'000u);
  EXPECT_EQ(histogram.min(), 1000u);
  EXPECT_EQ(histogram.max(), 100'000'000u);
}

TEST(LatencyHistogram, SmallValuesAreExactAndNoneIsZero) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.percentile(0.5), 0u);
  EXPECT_EQ(histogram.min(), 0u);
  for (const std::uint64_t value : {0, 1, 126, 127, 128}) histogram.add(value);
  EXPECT_EQ(histogram.percentile(0.2), 0u);
  EXPECT_EQ(histogram.percentile(0.4), 1u);
  EXPECT_EQ(histogram.percentile(0.8), 127u);
  EXPECT_EQ(histogram.percentile(1), 128u);
}

TEST(LatencyHistogram, AnyValueIsTaken) {
  LatencyHistogram histogram;
  histogram.add(~0ull);
  EXPECT_EQ(histogram.count(), 1u);
  EXPECT_EQ(histogram.max(), ~0ull);
  EXPECT_GT(histogram.percentile(0.5), 1ull << 42);
}

}  // namespace
}  // namespace pgrid::tools
