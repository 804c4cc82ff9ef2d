// What the node says to ARP, neighbour solicitations and pings, byte by byte.
#include "dataplane/local.hpp"

#include <gtest/gtest.h>

#include "dataplane/checksum.hpp"
#include "tests/packets/packet_table.hpp"

namespace pgrid::test {
namespace {

using dataplane::ChecksumStatus;
using dataplane::FrameKind;

/// The row's frame, answered in place with `tail_room` bytes behind it.
Bytes answered(const std::string& description, Variant variant, std::size_t tail_room = 128) {
  for (const Row& row : own_protocol_rows()) {
    if (row.description != description) continue;
    Bytes frame = row.frame(variant);
    const auto parsed =
        dataplane::parse_frame(frame, node_identity(), ChecksumStatus::unknown, ChecksumStatus::unknown);
    EXPECT_NE(parsed.kind, FrameKind::dropped) << abi::name_of(parsed.drop);
    auto moved = parsed;  // the copy with room has another address
    const std::size_t payload_at = static_cast<std::size_t>(parsed.frame.payload.data() - frame.data());
    Bytes room = frame;
    room.resize(frame.size() + tail_room);
    moved.frame.start = room.data();
    moved.frame.payload = std::span<const std::byte>(room).subspan(payload_at, parsed.frame.payload.size());
    room.resize(dataplane::answer_in_place(room, moved, node_identity()));
    return room;
  }
  ADD_FAILURE() << "no row: " << description;
  return {};
}

Bytes part(const Bytes& frame, std::size_t at, std::size_t length) {
  return {frame.begin() + static_cast<std::ptrdiff_t>(at),
          frame.begin() + static_cast<std::ptrdiff_t>(at + length)};
}
template <std::size_t size>
Bytes as_bytes(const std::array<std::uint8_t, size>& array) {
  const auto* begin = reinterpret_cast<const std::byte*>(array.data());
  return {begin, begin + size};
}

class Local : public testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] std::size_t l3() const { return GetParam() ? 18 : 14; }
};

TEST_P(Local, ArpReplyNamesOurMac) {
  const Bytes reply = answered("ARP request for our address", {4, GetParam()});
  ASSERT_EQ(reply.size(), l3() + 28);
  EXPECT_EQ(part(reply, 0, 6), as_bytes(kClientMac));
  EXPECT_EQ(part(reply, 6, 6), as_bytes(kNodeMac));
  EXPECT_EQ(part(reply, l3() + 7, 1), Bytes{std::byte{2}});
  EXPECT_EQ(part(reply, l3() + 8, 6), as_bytes(kNodeMac));
  EXPECT_EQ(part(reply, l3() + 14, 4), as_bytes(kNodeIpv4));
  EXPECT_EQ(part(reply, l3() + 18, 6), as_bytes(kClientMac));
  EXPECT_EQ(part(reply, l3() + 24, 4), as_bytes(kClientIpv4));
}

TEST_P(Local, EchoReplyIsTheRequestTurnedRound) {
  for (const int version : {4, 6}) {
    for (const char* size : {"ping", "ping of odd length", "ping without data", "ping of 1400 bytes"}) {
      SCOPED_TRACE(size + std::to_string(version));
      const Variant variant{version, GetParam()};
      const Bytes reply = answered(size, variant);
      const auto rows = own_protocol_rows();
      const auto row = std::ranges::find(rows, std::string(size), &Row::description);
      const Bytes request = row->frame(variant);
      ASSERT_EQ(reply.size(), request.size());
      EXPECT_EQ(part(reply, 0, 6), as_bytes(kClientMac));
      const std::size_t icmp = l3() + (version == 4 ? 20 : 40);
      EXPECT_EQ(reply[icmp], std::byte(version == 4 ? 0 : 129));
      EXPECT_EQ(part(reply, icmp + 4, reply.size() - icmp - 4),
                part(request, icmp + 4, reply.size() - icmp - 4));
      if (version == 4) {
        EXPECT_EQ(part(reply, l3() + 12, 4), as_bytes(kNodeIpv4));
        EXPECT_EQ(part(reply, l3() + 16, 4), as_bytes(kClientIpv4));
        EXPECT_TRUE(dataplane::checksum_is_good(dataplane::sum_bytes(reply.data() + l3(), 20)));
        EXPECT_TRUE(
            dataplane::checksum_is_good(dataplane::sum_bytes(reply.data() + icmp, reply.size() - icmp)));
      } else {
        EXPECT_EQ(part(reply, l3() + 8, 16), as_bytes(kNodeIpv6));
        EXPECT_EQ(part(reply, l3() + 24, 16), as_bytes(kClientIpv6));
        EXPECT_TRUE(dataplane::checksum_is_good(
            dataplane::pseudo_header_v6(reply.data() + l3() + 8, 58, reply.size() - icmp) +
            dataplane::sum_bytes(reply.data() + icmp, reply.size() - icmp)));
      }
    }
  }
}

TEST_P(Local, EthernetPaddingIsNotSentBack) {
  const Variant variant{4, GetParam()};
  Bytes frame = PacketBuilder(variant).icmp(with(Bytes(8), 0, {8})).append(18).build();
  const auto parsed =
      dataplane::parse_frame(frame, node_identity(), ChecksumStatus::unknown, ChecksumStatus::unknown);
  EXPECT_EQ(dataplane::answer_in_place(frame, parsed, node_identity()), l3() + 28);
}

void expect_advertisement(const Bytes& reply, std::size_t l3, unsigned flags, bool with_option) {
  const std::size_t icmp = l3 + 40;
  ASSERT_EQ(reply.size(), icmp + (with_option ? 32 : 24));
  EXPECT_EQ(reply[l3 + 7], std::byte{255});
  EXPECT_EQ(reply[icmp], std::byte{136});
  EXPECT_EQ(reply[icmp + 4], std::byte(flags));
  EXPECT_EQ(part(reply, l3 + 8, 16), as_bytes(kNodeIpv6));
  EXPECT_EQ(part(reply, icmp + 8, 16), as_bytes(kNodeIpv6));
  if (with_option) {
    EXPECT_EQ(part(reply, icmp + 24, 2), (Bytes{std::byte{2}, std::byte{1}}));
    EXPECT_EQ(part(reply, icmp + 26, 6), as_bytes(kNodeMac));
  }
  EXPECT_TRUE(dataplane::checksum_is_good(
      dataplane::pseudo_header_v6(reply.data() + l3 + 8, 58, reply.size() - icmp) +
      dataplane::sum_bytes(reply.data() + icmp, reply.size() - icmp)));
}

TEST_P(Local, AdvertisementToTheOneWhoAsked) {
  const Bytes reply = answered("neighbour solicitation", {6, GetParam()});
  expect_advertisement(reply, l3(), 0x60, true);  // solicited, override
  EXPECT_EQ(part(reply, 0, 6), as_bytes(kClientMac));
  EXPECT_EQ(part(reply, l3() + 24, 16), as_bytes(kClientIpv6));
}

TEST_P(Local, AdvertisementToEverybodyWhenSomebodyTriesOurAddress) {
  const Bytes reply = answered("duplicate address detection", {6, GetParam()});
  expect_advertisement(reply, l3(), 0x20, true);  // override
  EXPECT_EQ(part(reply, 0, 6), as_bytes(std::array<std::uint8_t, 6>{0x33, 0x33, 0, 0, 0, 1}));
  EXPECT_EQ(part(reply, l3() + 24, 16),
            as_bytes(std::array<std::uint8_t, 16>{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}));
}

TEST_P(Local, AdvertisementGrowsOnlyWhereThereIsRoom) {
  const std::string unicast = "neighbour solicitation without options";
  expect_advertisement(answered(unicast, {6, GetParam()}, 8), l3(), 0x60, true);
  expect_advertisement(answered(unicast, {6, GetParam()}, 7), l3(), 0x60, false);
}

INSTANTIATE_TEST_SUITE_P(Vlan, Local, testing::Bool());

TEST(LocalAnswers, NothingForMessages) {
  Bytes frame = PacketBuilder({4, false}).payload(valid_request()).build();
  const auto parsed =
      dataplane::parse_frame(frame, node_identity(), ChecksumStatus::unknown, ChecksumStatus::unknown);
  ASSERT_EQ(parsed.kind, FrameKind::message);
  EXPECT_EQ(dataplane::answer_in_place(frame, parsed, node_identity()), 0u);
}

}  // namespace
}  // namespace pgrid::test
