// The envelope at each of its boundaries, and that what is written opens again. The packet table has the
// rest.
#include "abi/wire/envelope.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace pgrid::wire {
namespace {

using Bytes = std::vector<std::byte>;

Bytes envelope(std::size_t content) {
  Bytes payload(kFlatBufferOffset + content);
  write_envelope(payload.data(), content);
  return payload;
}
Envelope verdict(const Bytes& payload) { return open_envelope(payload).verdict; }

TEST(Envelope, OpensWhatItWrote) {
  for (std::size_t content = kFlatBufferMin; content <= kFlatBufferMax; content += 4) {
    const Bytes payload = envelope(content);
    const OpenedEnvelope opened = open_envelope(payload);
    ASSERT_EQ(opened.verdict, Envelope::message_1) << content;
    ASSERT_EQ(opened.content.data(), payload.data() + kFlatBufferOffset);
    ASSERT_EQ(opened.content.size(), content);
  }
}

TEST(Envelope, TakesTheShortestHeader) {
  EXPECT_EQ(envelope(kShortContentMax)[47], std::byte{0x58});
  EXPECT_EQ(envelope(kShortContentMax)[48], std::byte{253});
  EXPECT_EQ(envelope(kShortContentMax + 4)[47], std::byte{0x59});
  EXPECT_EQ(envelope(256)[48], std::byte{1});
  EXPECT_EQ(envelope(256)[49], std::byte{0});
}

TEST(Envelope, RefusesEveryPrefix) {
  for (const std::size_t content : {24u, 252u, 256u, 1180u}) {
    const Bytes whole = envelope(content);
    for (std::size_t length = 0; length < whole.size(); ++length)
      ASSERT_EQ(verdict({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)}),
                Envelope::truncated)
          << content << " cut to " << length;
  }
}

TEST(Envelope, RefusesBytesBehind) {
  for (const std::size_t content : {24u, 252u, 256u, 1176u}) {
    Bytes payload = envelope(content);
    payload.resize(payload.size() + 1);
    EXPECT_EQ(verdict(payload), Envelope::length) << content;
  }
}

TEST(Envelope, RefusesOtherSizes) {
  const auto sized = [](std::uint8_t head, std::uint8_t high, std::uint8_t low, std::size_t content) {
    Bytes payload = envelope(24);
    payload.resize(kFlatBufferOffset + content);
    payload[47] = std::byte{head};
    payload[48] = std::byte{high};
    payload[49] = std::byte{low};
    return verdict(payload);
  };
  EXPECT_EQ(sized(0x58, 25, 0, 24), Envelope::message_1);
  EXPECT_EQ(sized(0x58, 24, 0, 23), Envelope::content_size);
  EXPECT_EQ(sized(0x58, 23, 0, 22), Envelope::not_shortest);
  EXPECT_EQ(sized(0x58, 26, 0, 25), Envelope::content_size);
  EXPECT_EQ(sized(0x58, 255, 0, 254), Envelope::content_size);
  EXPECT_EQ(sized(0x59, 0, 255, 255), Envelope::not_shortest);
  EXPECT_EQ(sized(0x59, 1, 0, 256), Envelope::message_1);
  EXPECT_EQ(sized(0x59, 1, 1, 257), Envelope::content_size);
  EXPECT_EQ(sized(0x59, 0x04, 0x9c, 1180), Envelope::message_1);
  EXPECT_EQ(sized(0x59, 0x04, 0x9d, 1181), Envelope::content_size);
  EXPECT_EQ(sized(0x59, 0x04, 0x9e, 1182), Envelope::content_size);
  EXPECT_EQ(sized(0x59, 0x04, 0x9f, 1183), Envelope::payload_too_long);
  EXPECT_EQ(sized(0x57, 0, 0, 24), Envelope::malformed);
  EXPECT_EQ(sized(0x5a, 0, 0, 24), Envelope::not_shortest);
  EXPECT_EQ(sized(0x5b, 0, 0, 24), Envelope::not_shortest);
  EXPECT_EQ(sized(0x5f, 0, 0, 24), Envelope::malformed);
  EXPECT_EQ(sized(0x58, 25, 1, 24), Envelope::padding);
}

// Any one byte of the prefix changed: never taken for ours, and only the bytes of the CID name another
// protocol.
TEST(Envelope, KnowsItsPrefixByteByByte) {
  for (std::size_t at = 0; at < kPrefixSize; ++at) {
    Bytes payload = envelope(100);
    payload[at] ^= std::byte{0x80};
    const Envelope found = verdict(payload);
    if (at < 5) {
      EXPECT_EQ(found, Envelope::not_grid) << at;
    } else if (at > 10) {
      EXPECT_EQ(found, Envelope::unknown_protocol) << at;
    } else {
      EXPECT_NE(found, Envelope::message_1) << at;
      EXPECT_NE(found, Envelope::unknown_protocol) << at;
    }
  }
}

TEST(Envelope, NothingIsRead) {
  EXPECT_EQ(verdict({}), Envelope::truncated);
  EXPECT_EQ(open_envelope({}).content.data(), nullptr);
}

}  // namespace
}  // namespace pgrid::wire
