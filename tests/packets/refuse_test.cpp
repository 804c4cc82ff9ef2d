// Refusals before authorization: rare per prefix, never longer than what they answer, and never a
// conversation.
#include "dataplane/refuse.hpp"

#include <gtest/gtest.h>
#include <sodium/crypto_hash_sha256.h>

#include "tests/packets/node_under_test.hpp"
#include "tests/packets/packet_table.hpp"

namespace pgrid::test {
namespace {

using abi::Counter;
using dataplane::ChecksumStatus;
using dataplane::RefusalLimiter;

constexpr std::uint64_t kHz = 1'000'000'000;

dataplane::Frame frame_from(const Bytes& bytes) {
  return dataplane::parse_frame(bytes, node_identity(), ChecksumStatus::unknown, ChecksumStatus::unknown)
      .frame;
}
Bytes from(std::array<std::uint8_t, 4> v4, std::array<std::uint8_t, 16> v6, int version) {
  return PacketBuilder({version, false}).from_ip(v4, v6).payload(valid_request()).build();
}
std::uint32_t allowed(RefusalLimiter& limiter, const Bytes& bytes, std::uint64_t now, std::uint32_t tries) {
  const dataplane::Frame frame = frame_from(bytes);
  std::uint32_t count = 0;
  for (std::uint32_t i = 0; i < tries; ++i) count += limiter.allow(frame, now) ? 1 : 0;
  return count;
}

TEST(RefusalLimiter, GivesEachPrefixItsBurstAndRate) {
  RefusalLimiter limiter(42, kHz, 1);
  const Bytes client = from(kClientIpv4, kClientIpv6, 4);
  EXPECT_EQ(allowed(limiter, client, kHz, 1000), dataplane::kRefusalBurst);
  EXPECT_EQ(allowed(limiter, client, kHz + kHz / 10, 1000), dataplane::kRefusalRate / 10);
}

TEST(RefusalLimiter, CountsPrefixesNotAddresses) {
  for (const int version : {4, 6}) {
    RefusalLimiter limiter(42, kHz, 1);
    std::array<std::uint8_t, 16> v6 = kClientIpv6;
    (void)allowed(limiter, from({198, 51, 100, 1}, v6, version), kHz, 1000);
    v6[7] = 0xff;  // the last 8 bits of /64, behind /56
    v6[12] = 5;
    EXPECT_EQ(allowed(limiter, from({198, 51, 100, 200}, v6, version), kHz, 10), 0u) << version;
    v6[6] = 0xff;  // within /56
    EXPECT_EQ(allowed(limiter, from({198, 51, 101, 1}, v6, version), kHz, 10), 10u) << version;
  }
}

TEST(RefusalLimiter, SplitsOverPollCores) {
  RefusalLimiter limiter(42, kHz, 4);
  EXPECT_EQ(allowed(limiter, from(kClientIpv4, kClientIpv6, 4), kHz, 1000), dataplane::kRefusalBurst / 4);
}

TEST(Refusals, OfUnknownProtocolsBearTheDatagramsHash) {
  const Bytes foreign = with(valid_request(), 20, {0x55, 0x55});
  const Bytes request = PacketBuilder({4, false}).payload(foreign).build();
  NodeUnderTest node;
  node.receive({request});
  ASSERT_EQ(node.sent().size(), 1u);
  const auto parsed = dataplane::parse_frame(node.sent()[0], client_identity(), ChecksumStatus::unknown,
                                             ChecksumStatus::unknown);
  dataplane::PayloadScratch scratch;
  const auto answer = dataplane::parse_message(scratch.align(parsed.frame.payload));
  ASSERT_TRUE(answer.ok);
  std::uint8_t hash[crypto_hash_sha256_BYTES];
  crypto_hash_sha256(hash, reinterpret_cast<const std::uint8_t*>(foreign.data()), foreign.size());
  EXPECT_EQ(std::memcmp(answer.message.id.data(), hash, 8), 0);
  EXPECT_EQ(answer.message.reason, abi::Reason::unknown_protocol);
}

TEST(Refusals, AreSuppressedBeyondTheLimitAndCounted) {
  const Bytes request =
      PacketBuilder({4, false}).payload(MessageBuilder().to(rights::revoked).payload()).build();
  NodeUnderTest node;
  for (int i = 0; i < 5; ++i) node.receive(std::vector<Bytes>(30, request));
  EXPECT_EQ(node.sent().size(), dataplane::kRefusalBurst);
  EXPECT_EQ(node.counter(Counter::right_revoked), 150u);
  EXPECT_EQ(node.counter(Counter::refusals_suppressed), 150u - dataplane::kRefusalBurst);
}

TEST(Refusals, RepeatReplyTo) {
  const Bytes request = PacketBuilder({6, false})
                            .payload(MessageBuilder().to(rights::revoked).reply_to(rights::good).payload())
                            .build();
  NodeUnderTest node;
  node.receive({request});
  ASSERT_EQ(node.sent().size(), 1u);
  const auto parsed = dataplane::parse_frame(node.sent()[0], client_identity(), ChecksumStatus::unknown,
                                             ChecksumStatus::unknown);
  dataplane::PayloadScratch scratch;
  const auto answer = dataplane::parse_message(scratch.align(parsed.frame.payload));
  ASSERT_TRUE(answer.ok);
  ASSERT_NE(answer.message.to, nullptr);
  const auto expected = wire_right(rights::good);
  EXPECT_EQ(std::memcmp(answer.message.to, &expected, sizeof expected), 0);
}

// Each node gets everything the other sends, turned round as if the other had asked. Whatever the first
// datagram was, the two fall silent.
TEST(Refusals, TwoNodesThatHearEachOtherFallSilent) {
  for (const Row& row : packet_table()) {
    if (row.reply.what != Reply::What::non_commitment) continue;
    NodeUnderTest first_node;
    first_node.receive({row.frame({4, false})});
    ASSERT_LE(first_node.sent().size(), 1u);
    for (const Bytes& reply : first_node.sent()) {
      // What the client received, sent on to another node as UDP payload.
      const auto parsed =
          dataplane::parse_frame(reply, client_identity(), ChecksumStatus::unknown, ChecksumStatus::unknown);
      const Bytes payload(parsed.frame.payload.begin(), parsed.frame.payload.end());
      NodeUnderTest second_node;
      second_node.receive({PacketBuilder({4, false}).payload(payload).build()});
      EXPECT_TRUE(second_node.sent().empty()) << row.description;
      EXPECT_EQ(second_node.counter(Counter::answer_unexpected), 1u) << row.description;

      // And to a node of another protocol: our refusal is to it what a foreign datagram is to us.
      NodeUnderTest other_protocol;
      other_protocol.receive({PacketBuilder({4, false}).payload(with(payload, 20, {0x55, 0x55})).build()});
      EXPECT_EQ(other_protocol.counter(Counter::unknown_protocol), 1u);
      if (payload.size() == dataplane::answer_payload_size(false, 0)) {
        EXPECT_TRUE(other_protocol.sent().empty());
      }
    }
  }
}

}  // namespace
}  // namespace pgrid::test
