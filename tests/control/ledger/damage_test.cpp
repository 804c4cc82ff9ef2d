// Shows that a log which was cut off or changed anywhere is read as far as it was acknowledged, or refused
// with a sentence that says where: torn at every byte, a bit flipped at every byte, records taken out, put
// twice, or exchanged.
#include <random>

#include "tests/control/ledger/log_fixture.hpp"

namespace pgrid::control {
namespace {

/// Three records that were acknowledged one by one, then two of one write.
LogBytes five() {
  return std::move(
      LogBytes().add("one").flush().add("two").flush().add("three").flush().add("four").add("five"));
}
const std::vector<std::string> kAll{"one", "two", "three", "four", "five"};

std::vector<std::string> first(std::size_t count) {
  return {kAll.begin(), kAll.begin() + static_cast<std::ptrdiff_t>(count)};
}

TEST(Damage, a_whole_log_is_read) {
  const LogDirectory log;
  EXPECT_EQ(read(log).payloads.size(), 0u);
  const LogBytes bytes = five();
  log.write(1, bytes.bytes());
  const Reading reading = read(log);
  ASSERT_TRUE(reading.end) << reading.end.error().sentence();
  EXPECT_EQ(reading.payloads, kAll);
  EXPECT_EQ(reading.end->point, bytes.last());
  EXPECT_EQ(reading.end->offset, bytes.bytes().size());
  EXPECT_EQ(reading.end->torn_bytes, 0u);
}

TEST(Damage, cut_off_anywhere_everything_whole_is_there) {
  const LogDirectory log;
  const LogBytes bytes = five();
  for (std::size_t size = 0; size <= bytes.bytes().size(); ++size) {
    log.write(1, std::span(bytes.bytes()).first(size));
    std::size_t whole = 0;
    while (whole < 5 && bytes.begin(whole + 1) <= size) ++whole;
    const Reading reading = read(log);
    ASSERT_TRUE(reading.end) << size << reading.end.error().sentence();
    EXPECT_EQ(reading.payloads, first(whole)) << size;
    EXPECT_EQ(reading.end->offset, bytes.begin(whole));
    // Zeros at the end of what is left of a record count as never written.
    EXPECT_LE(reading.end->torn_bytes, size - bytes.begin(whole));
    EXPECT_EQ(reading.end->torn_bytes == 0, size == bytes.begin(whole));
  }
}

TEST(Damage, a_flipped_bit_before_what_was_acknowledged_is_refused) {
  const LogDirectory log;
  const LogBytes bytes = five();
  for (std::size_t at = 0; at < bytes.begin(3); ++at) {
    Bytes damaged = bytes.bytes();
    damaged[at] ^= static_cast<std::uint8_t>(1u << (at % 8));
    log.write(1, damaged);
    const Reading reading = read(log);
    ASSERT_FALSE(reading.end) << at;
    EXPECT_EQ(reading.end.error().code, Errc::corrupt);
    const std::size_t record = at < bytes.begin(1) ? 1 : at < bytes.begin(2) ? 2 : 3;
    EXPECT_NE(reading.end.error().sentence().find("record " + std::to_string(record)), std::string::npos)
        << reading.end.error().sentence();
    EXPECT_EQ(reading.payloads, first(record - 1)) << at;
  }
}

TEST(Damage, a_flipped_bit_in_a_write_that_nobody_acknowledged_ends_the_log_there) {
  const LogDirectory log;
  const LogBytes bytes = five();
  for (std::size_t at = bytes.begin(3); at < bytes.bytes().size(); ++at) {
    Bytes damaged = bytes.bytes();
    damaged[at] ^= static_cast<std::uint8_t>(1u << (at % 8));
    log.write(1, damaged);
    const Reading reading = read(log);
    // The fifth is whole and behind the fourth, but it was part of the same write: both may be missing.
    ASSERT_TRUE(reading.end) << at << reading.end.error().sentence();
    EXPECT_EQ(reading.payloads, first(at < bytes.begin(4) ? 3 : 4)) << at;
    EXPECT_GT(reading.end->torn_bytes, 0u);
  }
}

TEST(Damage, with_a_mark_the_last_acknowledged_record_is_missed_too) {
  const LogDirectory log;
  const LogBytes bytes = five();
  Result<LogMark> mark = LogMark::open(log.path());
  ASSERT_TRUE(mark);
  mark->set(bytes.last());
  log.write(1, bytes.bytes());
  EXPECT_TRUE(read(log).end);
  for (std::size_t at = 0; at < bytes.bytes().size(); ++at) {
    Bytes damaged = bytes.bytes();
    damaged[at] ^= static_cast<std::uint8_t>(1u << (at % 8));
    log.write(1, damaged);
    const Reading reading = read(log);
    ASSERT_FALSE(reading.end) << at;
    EXPECT_EQ(reading.end.error().code, Errc::corrupt);
  }
  for (std::size_t size = 0; size < bytes.bytes().size(); ++size) {
    log.write(1, std::span(bytes.bytes()).first(size));
    EXPECT_FALSE(read(log).end) << size;
  }
  // Another log of the same length is not this one.
  log.write(1, LogBytes().add("one").add("two").add("three").add("four").add("FIVE").bytes());
  EXPECT_FALSE(read(log).end);
  // A mark that cannot be read says nothing.
  std::filesystem::resize_file(log.path() / "acknowledged", 55);
  log.write(1, std::span(bytes.bytes()).first(bytes.begin(4)));
  EXPECT_TRUE(read(log).end);
}

TEST(Damage, records_that_were_taken_out_put_twice_or_exchanged_are_refused) {
  const LogDirectory log;
  const LogBytes bytes = five();
  const auto record = [&](std::size_t index) {
    return Bytes(bytes.bytes().begin() + static_cast<std::ptrdiff_t>(bytes.begin(index)),
                 bytes.bytes().begin() + static_cast<std::ptrdiff_t>(bytes.begin(index + 1)));
  };
  for (const std::vector<std::size_t>& order : std::vector<std::vector<std::size_t>>{
           {0, 2, 3, 4}, {1, 2, 3, 4}, {0, 0, 1, 2, 3, 4}, {0, 2, 1, 3, 4}, {0, 1, 2, 4, 3}}) {
    Bytes mixed;
    for (const std::size_t index : order) {
      const Bytes one = record(index);
      mixed.insert(mixed.end(), one.begin(), one.end());
    }
    log.write(1, mixed);
    const Reading reading = read(log);
    ASSERT_FALSE(reading.end);
    EXPECT_EQ(reading.end.error().code, Errc::corrupt);
  }
  // A record that was made anew, with a check that fits: the one behind it knows better.
  Bytes forged;
  const LogBytes other = std::move(LogBytes().add("One").flush());
  forged = other.bytes();
  forged.insert(forged.end(), bytes.bytes().begin() + static_cast<std::ptrdiff_t>(bytes.begin(1)),
                bytes.bytes().end());
  log.write(1, forged);
  const Reading reading = read(log);
  ASSERT_FALSE(reading.end);
  EXPECT_NE(reading.end.error().sentence().find("does not follow"), std::string::npos)
      << reading.end.error().sentence();
}

TEST(Damage, zeros_behind_the_end_are_nothing_and_garbage_is_cut_off) {
  const LogDirectory log;
  const LogBytes bytes = five();
  Bytes longer = bytes.bytes();
  longer.resize(longer.size() + 5000);
  log.write(1, longer);
  EXPECT_EQ(read(log).end->torn_bytes, 0u);
  std::mt19937 random(7);
  for (std::size_t i = bytes.bytes().size(); i < longer.size(); ++i)
    longer[i] = static_cast<std::uint8_t>(random() | 1);
  log.write(1, longer);
  const Reading reading = read(log);
  ASSERT_TRUE(reading.end);
  EXPECT_EQ(reading.payloads, kAll);
  EXPECT_EQ(reading.end->torn_bytes, 5000u);
}

TEST(Damage, several_files_are_one_log_and_a_name_says_where_the_one_before_ends) {
  const LogDirectory log;
  const LogBytes before = std::move(LogBytes().add("one").flush().add("two").flush());
  const LogBytes after = std::move(LogBytes(before.last()).add("three").flush());
  // A write that failed left something behind in the first file; the second one goes on from what was
  // acknowledged.
  const LogBytes stray = std::move(LogBytes().add("one").flush().add("two").flush().add("lost"));
  log.write(1, stray.bytes());
  log.write(3, after.bytes());
  Reading reading = read(log);
  ASSERT_TRUE(reading.end) << reading.end.error().sentence();
  EXPECT_EQ(reading.payloads, first(3));
  EXPECT_EQ(reading.end->segment, log.segment(3));
  EXPECT_EQ(reading.end->point, after.last());
  // From a point in the middle, as behind a snapshot.
  reading = read(log, before.last());
  ASSERT_TRUE(reading.end);
  EXPECT_EQ(reading.payloads, std::vector<std::string>{"three"});
  LogPoint wrong = before.last();
  wrong.hash[0] ^= 1;
  EXPECT_FALSE(read(log, wrong).end);
  // The first file ends too early, or is gone.
  log.write(1, std::span(before.bytes()).first(before.begin(1)));
  EXPECT_EQ(read(log).end.error().code, Errc::corrupt);
  std::filesystem::remove(log.segment(1));
  EXPECT_EQ(read(log).end.error().code, Errc::corrupt);
  EXPECT_TRUE(read(log, before.last()).end) << "a snapshot knows the point where it begins";
}

}  // namespace
}  // namespace pgrid::control
