// The token bucket of a right: never more than its rate, a burst at once, nothing lost to rounding.
#include "dataplane/token_bucket.hpp"

#include <gtest/gtest.h>

namespace pgrid::dataplane {
namespace {

constexpr std::uint64_t kHz = 1'000'000'000;

std::uint32_t take_all(std::atomic<std::uint64_t>& word, const BucketShape& shape, std::uint64_t now) {
  std::uint32_t n = 0;
  while (n < 100'000 && take_token(word, shape, now)) ++n;
  return n;
}

TEST(TokenBucket, GivesTheBurstAtOnceAndThenTheRate) {
  const BucketShape shape = bucket_shape(1000, 10, 1, kHz);
  std::atomic<std::uint64_t> word = 0;
  std::uint64_t now = 5 * kHz;
  EXPECT_EQ(take_all(word, shape, now), 10u);
  EXPECT_EQ(take_all(word, shape, now + kHz / 1000 - 1), 0u);
  EXPECT_EQ(take_all(word, shape, now + kHz / 1000), 1u);
  now += kHz;
  EXPECT_EQ(take_all(word, shape, now), 10u) << "a second of silence fills the bucket, not more";
}

TEST(TokenBucket, NeverPassesMoreThanTheRateOverALongTime) {
  const BucketShape shape = bucket_shape(333, 1, 1, kHz);
  std::atomic<std::uint64_t> word = 0;
  std::uint32_t taken = 0;
  for (std::uint64_t now = kHz; now < 11 * kHz; now += kHz / 5000) taken += take_token(word, shape, now);
  EXPECT_LE(taken, 3330u + 1u);
  EXPECT_GE(taken, 3330u * 93 / 100) << "a token can wait one poll, no longer";
}

TEST(TokenBucket, IsSplitOverPollCores) {
  for (const std::uint32_t cores : {1u, 2u, 3u, 8u}) {
    const BucketShape shape = bucket_shape(800, 80, cores, kHz);
    std::uint32_t first = 0;
    std::uint32_t later = 0;
    for (std::uint32_t core = 0; core < cores; ++core) {
      std::atomic<std::uint64_t> word = 0;
      first += take_all(word, shape, kHz);
      for (std::uint64_t ms = 1; ms <= 1000; ++ms) later += take_token(word, shape, kHz + ms * kHz / 1000);
    }
    EXPECT_LE(first, 80u) << cores;
    EXPECT_GE(first, 80u - cores) << cores;
    EXPECT_LE(later, 800u) << cores;
    EXPECT_GE(later, 790u - cores) << cores;
  }
}

TEST(TokenBucket, LetsOneThroughHoweverSmallTheShare) {
  const BucketShape shape = bucket_shape(1, 0, 8, kHz);
  std::atomic<std::uint64_t> word = 0;
  EXPECT_EQ(take_all(word, shape, kHz), 1u);
  EXPECT_EQ(take_all(word, shape, kHz + 8 * kHz - 1), 0u);
  EXPECT_EQ(take_all(word, shape, kHz + 8 * kHz), 1u);
}

TEST(TokenBucket, SaturatesInsteadOfOverflowing) {
  const BucketShape shape = bucket_shape(1, ~0u, 1, 5 * kHz);
  EXPECT_GE(shape.depth, std::uint64_t{1} << 61);
  std::atomic<std::uint64_t> word = 0;
  EXPECT_TRUE(take_token(word, shape, kHz));
  EXPECT_TRUE(take_token(word, shape, kHz));
}

}  // namespace
}  // namespace pgrid::dataplane
