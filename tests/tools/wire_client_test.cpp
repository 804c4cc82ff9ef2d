// Shows that request datagrams are what message-1 says, that answers are read back, and that no damaged datagram is taken
// for an answer that it does not hold.
#include <gtest/gtest.h>

#include "tests/tools/echo_responder.hpp"
#include "tools/wire_client/datagram.hpp"
#include "tools/wire_client/udp_socket.hpp"

namespace pgrid::tools {
namespace {

const wire::RightRef kRight{5, 9, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};

std::vector<std::byte> body_of_size(std::size_t size) {
  std::vector<std::byte> body;
  for (std::size_t i = 0; i < size; ++i) body.push_back(static_cast<std::byte>(i));
  return body;
}

TEST(RequestDatagram, EveryBodySizeIsAWellFormedDatagram) {
  for (std::size_t size = 0; size <= 1024; ++size) {
    const auto body = body_of_size(size);
    const auto request = RequestDatagram::build(kRight, body, 0x1122334455667788, 777);
    ASSERT_TRUE(request) << size;
    ASSERT_LE(request->bytes().size(), wire::kPayloadMax);
    const auto opened = wire::open_envelope(request->bytes());
    ASSERT_EQ(opened.verdict, wire::Envelope::message_1) << size;
    // Aligned as a node has it.
    std::vector<std::uint32_t> aligned(opened.content.size() / 4);
    std::memcpy(aligned.data(), opened.content.data(), opened.content.size());
    flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(aligned.data()), opened.content.size());
    ASSERT_TRUE(wire::VerifyMessageBuffer(verifier)) << size;
    const wire::Message* message = wire::GetMessage(aligned.data());
    ASSERT_EQ(message->kind(), wire::Kind::request);
    ASSERT_EQ(message->to()->slot(), 5u);
    ASSERT_EQ(message->to()->generation(), 9u);
    ASSERT_EQ(std::memcmp(message->to()->key()->data(), kRight.key.data(), 16), 0);
    ASSERT_EQ(message->reply_to(), nullptr);
    ASSERT_EQ(message->deadline_us(), 777u);
    ASSERT_EQ(body_of(*message), std::string(reinterpret_cast<const char*>(body.data()), size));
  }
}

TEST(RequestDatagram, IdAndBodyChangeInPlace) {
  auto request = RequestDatagram::build(kRight, body_of_size(10), 1);
  ASSERT_TRUE(request);
  const std::vector<std::byte> before(request->bytes().begin(), request->bytes().end());
  request->set_id(0x0102030405060708);
  request->body()[9] = std::byte{0xff};
  const auto expected = RequestDatagram::build(kRight, request->body(), 0x0102030405060708);
  EXPECT_TRUE(std::ranges::equal(request->bytes(), expected->bytes()));
  EXPECT_FALSE(std::ranges::equal(request->bytes(), before));
}

TEST(RequestDatagram, RefusesMoreThan1024Bytes) {
  EXPECT_TRUE(RequestDatagram::build(kRight, body_of_size(1024), 1));
  EXPECT_FALSE(RequestDatagram::build(kRight, body_of_size(1025), 1));
}

TEST(ReadAnswer, ReadsKindReasonIdAndBody) {
  const std::array<std::uint8_t, 8> id{1, 2, 3, 4, 5, 6, 7, 8};
  const wire::Id id_struct{flatbuffers::span<const std::uint8_t, 8>(id)};
  const auto datagram = answer_datagram({wire::Kind::non_commitment, 8, "because"}, &id_struct);
  const auto answer = read_answer(datagram);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->kind, abi::Kind::non_commitment);
  EXPECT_EQ(answer->reason, abi::Reason::declined);
  EXPECT_EQ(answer->id, 0x0807060504030201u) << "as set_id wrote it on a little-endian machine";
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(answer->body.data()), answer->body.size()), "because");
}

TEST(ReadAnswer, RefusesWhatIsNoAnswer) {
  const std::array<std::uint8_t, 8> id{};
  const wire::Id id_struct{flatbuffers::span<const std::uint8_t, 8>(id)};
  EXPECT_EQ(read_answer({}).error(), NotAnAnswer::envelope);
  EXPECT_EQ(read_answer(answer_datagram({}, nullptr)).error(), NotAnAnswer::message) << "no id";
  EXPECT_EQ(read_answer(answer_datagram({wire::Kind::request, 0, ""}, &id_struct)).error(), NotAnAnswer::kind);
  EXPECT_EQ(read_answer(answer_datagram({wire::Kind::notice, 0, ""}, &id_struct)).error(), NotAnAnswer::kind);
  EXPECT_EQ(read_answer(answer_datagram({static_cast<wire::Kind>(77), 0, ""}, &id_struct)).error(), NotAnAnswer::kind);
}

TEST(ReadAnswer, NoTruncationIsTaken) {
  const std::array<std::uint8_t, 8> id{};
  const wire::Id id_struct{flatbuffers::span<const std::uint8_t, 8>(id)};
  const auto datagram = answer_datagram({.body = "some text"}, &id_struct);
  for (std::size_t size = 0; size < datagram.size(); ++size)
    EXPECT_FALSE(read_answer(std::span(datagram).first(size))) << size;
  EXPECT_TRUE(read_answer(datagram));
}

TEST(ReadAnswer, NoSingleByteMakesItReadOutsideTheDatagram) {
  // Each byte set to each of some values, in a buffer of exactly that size: AddressSanitizer would see a step outside.
  const std::array<std::uint8_t, 8> id{};
  const wire::Id id_struct{flatbuffers::span<const std::uint8_t, 8>(id)};
  const auto datagram = answer_datagram({.body = "some text"}, &id_struct);
  for (std::size_t i = 0; i < datagram.size(); ++i) {
    for (const unsigned value : {0x00u, 0x01u, 0x7fu, 0x80u, 0xffu}) {
      const auto changed = std::make_unique<std::byte[]>(datagram.size());
      std::memcpy(changed.get(), datagram.data(), datagram.size());
      changed[i] = static_cast<std::byte>(value);
      const auto answer = read_answer(std::span(changed.get(), datagram.size()));
      if (!answer) continue;
      unsigned sum = 0;
      for (const std::byte byte : answer->body) sum += std::to_integer<unsigned>(byte);
      EXPECT_LE(answer->body.size(), datagram.size()) << sum;
    }
  }
}

TEST(HostPortText, ReadsEveryForm) {
  const std::tuple<const char*, const char*, int> good[] = {
      {"192.0.2.1", "192.0.2.1", 4646},    {"192.0.2.1:5000", "192.0.2.1", 5000}, {"node.example", "node.example", 4646},
      {"2001:db8::1", "2001:db8::1", 4646}, {"[2001:db8::1]", "2001:db8::1", 4646}, {"[2001:db8::1]:65535", "2001:db8::1", 65535}};
  for (const auto& [text, host, port] : good) {
    const auto parsed = parse_host_port(text, 4646);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(parsed->host, host);
    EXPECT_EQ(parsed->port, port);
  }
  for (const char* text : {"", ":5000", "host:", "host:0", "host:65536", "host:x", "host:1x", "[::1", "[::1]x", "[]:1"})
    EXPECT_FALSE(parse_host_port(text, 4646)) << text;
}

}  // namespace
}  // namespace pgrid::tools
