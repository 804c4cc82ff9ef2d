// Shows that sizes and durations are read exactly, that what is ambiguous or too large is refused, and that what is
// written is read back.
#include "drivers/config/units.hpp"

#include <gtest/gtest.h>

namespace pgrid::config {
namespace {

TEST(Size, ReadsEveryUnit) {
  EXPECT_EQ(parse_size("0").value(), 0u);
  EXPECT_EQ(parse_size("512").value(), 512u);
  EXPECT_EQ(parse_size("512B").value(), 512u);
  EXPECT_EQ(parse_size("64KiB").value(), 65536u);
  EXPECT_EQ(parse_size("4MiB").value(), 4u * 1024 * 1024);
  EXPECT_EQ(parse_size("3GiB").value(), 3ull * 1024 * 1024 * 1024);
}

TEST(Size, RefusesWhatIsNoWholeSize) {
  for (const char* text : {"", "MiB", "-1MiB", "1.5MiB", "4 MiB", "4MB", "4mib", "4M", "0x10", "+4MiB", "4MiB "})
    EXPECT_FALSE(parse_size(text)) << text;
}

TEST(Size, RefusesWhatDoesNotFit64Bits) {
  EXPECT_TRUE(parse_size("18446744073709551615B"));
  EXPECT_FALSE(parse_size("18446744073709551616B"));
  EXPECT_FALSE(parse_size("17179869184GiB"));  // 2^34 * 2^30 = 2^64
  EXPECT_TRUE(parse_size("17179869183GiB"));
}

TEST(Size, ErrorSaysWhatToWrite) {
  const auto size = parse_size("4MB");
  ASSERT_FALSE(size);
  EXPECT_EQ(size.error().code, Errc::invalid_argument);
  EXPECT_EQ(size.error().sentence(), "\"4MB\": is not a size; write a whole number and B, KiB, MiB or GiB, as in 4MiB");
}

TEST(Duration, ReadsEveryUnitAsMicroseconds) {
  EXPECT_EQ(parse_duration_us("250us").value(), 250u);
  EXPECT_EQ(parse_duration_us("1ms").value(), 1000u);
  EXPECT_EQ(parse_duration_us("2s").value(), 2'000'000u);
  EXPECT_EQ(parse_duration_us("5m").value(), 300'000'000u);
  EXPECT_EQ(parse_duration_us("1h").value(), 3'600'000'000u);
  EXPECT_EQ(parse_duration_us("0").value(), 0u);
}

TEST(Duration, RequiresAUnit) {
  for (const char* text : {"", "5", "s", "1.5s", "1 s", "1sec", "1S", "-1s", "6000000000000000h"})
    EXPECT_FALSE(parse_duration_us(text)) << text;
}

TEST(Units, WhatIsWrittenIsReadBack) {
  for (const std::uint64_t n : {0ull, 1ull, 999ull, 1000ull, 1024ull, 65536ull, 90'000'000ull, 1ull << 40, ~0ull}) {
    EXPECT_EQ(parse_size(size_text(n)).value(), n) << size_text(n);
    EXPECT_EQ(parse_duration_us(duration_text(n)).value(), n) << duration_text(n);
  }
  EXPECT_EQ(size_text(16u << 20), "16MiB");
  EXPECT_EQ(size_text(1000), "1000B");
  EXPECT_EQ(duration_text(90'000'000), "90s");
  EXPECT_EQ(duration_text(60'000'000), "1m");
}

}  // namespace
}  // namespace pgrid::config
