// Answers are laid out by hand. Here the generated FlatBuffers code reads them back, over every combination
// of IP version, VLAN, `to`, and body lengths around each boundary; the parser checks headers and both
// checksums.
#include "dataplane/answer.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "dataplane/checksum.hpp"
#include "tests/packets/packet_builder.hpp"

namespace pgrid::test {
namespace {

using dataplane::AnswerFields;
using dataplane::ChecksumStatus;
using dataplane::ReturnPath;

ReturnPath path_to_client(Variant variant) {
  const Bytes request = PacketBuilder(variant).payload(Bytes(8)).build();
  const auto parsed =
      dataplane::parse_frame(request, node_identity(), ChecksumStatus::unknown, ChecksumStatus::unknown);
  return dataplane::return_path_of(parsed.frame, node_identity(), 3);
}

Bytes body_of(std::size_t length) {
  Bytes body(length);
  for (std::size_t i = 0; i < length; ++i) body[i] = static_cast<std::byte>(0xff - i % 251);
  return body;
}

/// Room for the largest answer, filled with what must not shine through.
struct Room {
  alignas(64) std::byte bytes[dataplane::kAnswerFrameMax + 1];
  Room() { std::memset(bytes, 0xee, sizeof bytes); }
  std::byte* frame() { return bytes; }
};

constexpr std::size_t kBodyLengths[] = {0,   1,   2,   3,   4,   5,   31,  64,  100,  179,  180, 181,
                                        182, 183, 184, 200, 203, 204, 205, 208, 1020, 1023, 1024};

class Answers : public testing::TestWithParam<std::tuple<int, bool, bool>> {
 protected:
  Variant variant{std::get<0>(GetParam()), std::get<1>(GetParam())};
  bool has_to = std::get<2>(GetParam());
  dataplane::RightOnWire to = wire_right({.slot = 0x01020304, .generation = 0xa0b0c0d0, .key = {9, 8, 7}});
};

TEST_P(Answers, ReadBackAsTheyWereMeant) {
  const ReturnPath path = path_to_client(variant);
  for (const std::size_t length : kBodyLengths) {
    SCOPED_TRACE(length);
    const Bytes body = body_of(length);
    const bool answer = length % 2 == 0;
    const AnswerFields fields{answer ? abi::Kind::answer : abi::Kind::non_commitment,
                              answer ? abi::Reason::none : abi::Reason::process_failed,
                              {0xff, 0xee, 0xdd, 0xcc, 4, 3, 2, 1},
                              has_to ? &to : nullptr};
    Room room;
    const std::size_t size = dataplane::write_answer_frame(room.frame(), path, fields, body, false);
    ASSERT_EQ(size, dataplane::answer_frame_size(path, has_to, length));
    ASSERT_EQ(std::to_integer<int>(room.frame()[size]), 0xee) << "wrote behind its end";

    const std::span frame(room.frame(), size);
    const auto parsed =
        dataplane::parse_frame(frame, client_identity(), ChecksumStatus::unknown, ChecksumStatus::unknown);
    ASSERT_EQ(parsed.kind, dataplane::FrameKind::message) << abi::name_of(parsed.drop);
    EXPECT_EQ(parsed.frame.vlan, variant.vlan);
    EXPECT_EQ(parsed.frame.vlan_tci, variant.vlan ? 0x6064 : 0);
    EXPECT_EQ(std::memcmp(parsed.frame.source_mac().data(), kNodeMac.data(), 6), 0);
    EXPECT_EQ(parsed.frame.payload.size(), dataplane::answer_payload_size(has_to, length));
    EXPECT_EQ(parsed.frame.payload.data() + parsed.frame.payload.size(), room.frame() + size);
    ASSERT_TRUE(dataplane::is_aligned(parsed.frame.payload));

    const auto message = dataplane::parse_message(parsed.frame.payload);
    ASSERT_TRUE(message.ok) << abi::name_of(message.failure);
    EXPECT_EQ(message.message.kind, fields.kind);
    EXPECT_EQ(message.message.reason, fields.reason);
    EXPECT_EQ(message.message.id, fields.id);
    EXPECT_EQ(message.message.reply_to, nullptr);
    EXPECT_EQ(message.message.deadline_us, 0u);
    EXPECT_EQ(message.message.nb_rights, 0u);
    EXPECT_EQ(message.message.to != nullptr, has_to);
    if (has_to) {
      EXPECT_EQ(std::memcmp(message.message.to, &to, sizeof to), 0);
    }
    EXPECT_TRUE(std::ranges::equal(message.message.body, body));
  }
}

TEST_P(Answers, OffloadLeavesThePseudoHeaderForTheNic) {
  const ReturnPath path = path_to_client(variant);
  const Bytes body = body_of(77);
  const AnswerFields fields{abi::Kind::answer, abi::Reason::none, {1}, has_to ? &to : nullptr};
  Room software;
  Room offloaded;
  const std::size_t size = dataplane::write_answer_frame(software.frame(), path, fields, body, false);
  ASSERT_EQ(dataplane::write_answer_frame(offloaded.frame(), path, fields, body, true), size);

  // A NIC computes the IPv4 header checksum over a field of zero, and the UDP checksum over the whole
  // datagram with the pseudo-header's sum in the field.
  std::byte* ip = offloaded.frame() + (variant.vlan ? 18 : 14);
  std::byte* udp = ip + (variant.ip_version == 4 ? 20 : 40);
  if (variant.ip_version == 4)
    dataplane::store_native16(ip + 10, dataplane::checksum_of(dataplane::sum_bytes(ip, 20)));
  const auto length = static_cast<std::size_t>(offloaded.frame() + size - udp);
  dataplane::store_native16(udp + 6, dataplane::checksum_of(dataplane::sum_bytes(udp, length)));
  EXPECT_EQ(std::memcmp(software.frame(), offloaded.frame(), size), 0);
}

INSTANTIATE_TEST_SUITE_P(All, Answers,
                         testing::Combine(testing::Values(4, 6), testing::Bool(), testing::Bool()));

TEST(ReturnPath, TurnsTheRequestRound) {
  const ReturnPath path = path_to_client({6, true});
  EXPECT_EQ(path.ip_version, 6);
  EXPECT_TRUE(std::ranges::equal(std::span(path.addresses).first(16), kNodeIpv6));
  EXPECT_TRUE(std::ranges::equal(std::span(path.addresses).last(16), kClientIpv6));
  EXPECT_EQ(path.ports[0] << 8 | path.ports[1], 4646);
  EXPECT_EQ(path.ports[2] << 8 | path.ports[3], kClientPort);
  EXPECT_TRUE(std::ranges::equal(std::span(path.macs).first(6), kClientMac));
  EXPECT_EQ(path.port_id, 3);
  EXPECT_EQ(path.vlan_tci, 0x6064);
}

}  // namespace
}  // namespace pgrid::test
