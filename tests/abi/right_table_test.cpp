// The right table's lines: what is written is read whole or not at all, also while it is being written, and
// after a writer died half-way. Runs under ThreadSanitizer too (suite `ring`).
#include "abi/shared/right_table.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace pgrid::abi {
namespace {

/// Fields of which each follows from n, so that a mixture of two is recognised.
RightFields fields_of(std::uint32_t n) {
  RightFields fields{};
  fields.generation = n;
  for (auto& byte : fields.key) byte = static_cast<std::uint8_t>(n);
  fields.label = std::uint64_t{n} << 32 | n;
  fields.expires_unix_ns = std::uint64_t{n} * 3;
  fields.target = n;
  fields.worker = static_cast<std::uint16_t>(n);
  fields.target_kind = Target::process;
  fields.permissions = kMaySend;
  fields.deadline_max_us = n;
  fields.in_flight_max = static_cast<std::uint16_t>(n);
  fields.body_max = static_cast<std::uint16_t>(n);
  fields.rate = n;
  fields.burst = n;
  return fields;
}
bool is_whole(const RightFields& fields) {
  RightFields expected = fields_of(fields.generation);
  expected.sequence = fields.sequence;
  return std::memcmp(&expected, &fields, sizeof fields) == 0;
}

TEST(RightTable, ReadsWhatWasWritten) {
  RightSlot slot{};
  RightFields read{};
  ASSERT_TRUE(read_right(slot, read));
  EXPECT_EQ(read.target_kind, Target::free) << "zeros are a slot that was never used";
  for (std::uint32_t n = 1; n < 100; ++n) {
    write_right(slot, fields_of(n));
    ASSERT_TRUE(read_right(slot, read));
    EXPECT_EQ(read.generation, n);
    EXPECT_TRUE(is_whole(read));
    EXPECT_EQ(read.sequence, 2 * n);
  }
}

TEST(RightTable, TheWritersSequenceIsIgnored) {
  RightSlot slot{};
  RightFields fields = fields_of(1);
  fields.sequence = 0xffff'fffd;
  write_right(slot, fields);
  RightFields read{};
  ASSERT_TRUE(read_right(slot, read));
  EXPECT_EQ(read.sequence, 2u);
}

TEST(RightTable, AWriterThatDiedHalfWay) {
  RightSlot slot{};
  write_right(slot, fields_of(1));
  slot.words[0] |= 1;        // its first step
  slot.words[3] = 0x123456;  // and some of the rest
  RightFields read{};
  EXPECT_FALSE(read_right(slot, read));
  write_right(slot, fields_of(2));  // its successor
  ASSERT_TRUE(read_right(slot, read));
  EXPECT_EQ(read.generation, 2u);
  EXPECT_TRUE(is_whole(read));
}

TEST(RightTable, TheSequenceWrapsRound) {
  RightSlot slot{};
  slot.words[0] = 0xffff'fffe;
  write_right(slot, fields_of(9));
  RightFields read{};
  ASSERT_TRUE(read_right(slot, read));
  EXPECT_EQ(read.sequence, 0u);
  EXPECT_TRUE(is_whole(read));
}

TEST(TwoThreads, AReaderNeverSeesAMixture) {
  RightSlot slot{};
  write_right(slot, fields_of(1));
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (std::uint32_t n = 2; !stop.load(std::memory_order_relaxed); ++n) {
      write_right(slot, fields_of(n));
      if (n % 64 == 0) std::this_thread::yield();
    }
  });
  std::uint32_t whole = 0;
  std::uint32_t last = 0;
  for (int i = 0; i < 10'000'000 && whole < 50'000; ++i) {
    RightFields read{};
    if (!read_right(slot, read)) continue;  // "being written" is an answer
    ASSERT_TRUE(is_whole(read)) << read.generation;
    ASSERT_GE(read.generation, last) << "an older line after a newer one";
    last = read.generation;
    ++whole;
  }
  stop.store(true);
  writer.join();
  EXPECT_EQ(whole, 50'000u);
}

}  // namespace
}  // namespace pgrid::abi
