// The internet checksum against its definition, one 16-bit word at a time, over every length and start.
#include "dataplane/checksum.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace pgrid::dataplane {
namespace {

std::uint16_t by_definition(const std::byte* bytes, std::size_t length) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < length; i += 2) {
    std::uint32_t word = std::to_integer<std::uint32_t>(bytes[i]) << 8;
    if (i + 1 < length) word |= std::to_integer<std::uint32_t>(bytes[i + 1]);
    sum += word;
    sum = (sum & 0xffff) + (sum >> 16);
  }
  const auto checksum = static_cast<std::uint16_t>(~sum);
  return static_cast<std::uint16_t>(checksum << 8 | checksum >> 8);  // as it is stored
}

std::vector<std::byte> noise(std::size_t length) {
  std::vector<std::byte> bytes(length);
  std::uint32_t state = 12345;
  for (std::byte& byte : bytes) byte = static_cast<std::byte>((state = state * 1664525 + 1013904223) >> 24);
  return bytes;
}

TEST(Checksum, IsWhatRfc1071Defines) {
  const auto bytes = noise(1600);
  for (std::size_t start = 0; start < 4; ++start)
    for (std::size_t length = 0; length < 1500; length += length < 80 ? 1 : 37)
      ASSERT_EQ(checksum_of(sum_bytes(bytes.data() + start, length)),
                by_definition(bytes.data() + start, length))
          << start << " " << length;
}

TEST(Checksum, AddsCarriesBack) {
  const std::vector<std::byte> ones(1024, std::byte{0xff});
  EXPECT_EQ(fold(sum_bytes(ones.data(), ones.size())), 0xffff);
  EXPECT_TRUE(checksum_is_good(sum_bytes(ones.data(), ones.size())));
  EXPECT_EQ(fold(~ChecksumSum{0}), 0xffff);
}

TEST(Checksum, CopyingSumsTheSameAndCopiesExactly) {
  const auto bytes = noise(400);
  for (std::size_t length = 0; length <= 300; ++length) {
    std::vector<std::byte> to(400, std::byte{0xee});
    ASSERT_EQ(fold(copy_and_sum(to.data(), bytes.data(), length)), fold(sum_bytes(bytes.data(), length)));
    ASSERT_TRUE(std::equal(to.begin(), to.begin() + static_cast<std::ptrdiff_t>(length), bytes.begin()));
    ASSERT_EQ(to[length], std::byte{0xee});
  }
}

TEST(Checksum, NarrowVectorsSayTheSameAsWideOnes) {
  const auto bytes = noise(1600);
  for (std::size_t length = 0; length < 1500; length += length < 160 ? 1 : 31) {
    std::vector<std::byte> to(1600);
    ASSERT_EQ(fold(detail::sum_or_copy<true>(to.data(), bytes.data(), length)), fold(sum_bytes(bytes.data(), length)));
    ASSERT_TRUE(std::equal(to.begin(), to.begin() + static_cast<std::ptrdiff_t>(length), bytes.begin()));
  }
}

TEST(Checksum, OfUdpIsNeverZero) {
  EXPECT_EQ(udp_checksum_of(0xffff), 0xffff);
  EXPECT_EQ(checksum_of(0xffff), 0);
}

}  // namespace
}  // namespace pgrid::dataplane
