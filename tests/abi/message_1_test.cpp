// The specification document says what the code does: its schema is message.fbs, its pCID is the constant,
// its examples are what the code writes and reads, its numbers are the enums'.
#include <gtest/gtest.h>
#include <sodium/crypto_hash_sha256.h>

#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "abi/shared/reason.hpp"
#include "abi/wire/envelope.hpp"
#include "abi/wire/grid_uri.hpp"
#include "abi/wire/message_generated.h"
#include "dataplane/answer.hpp"
#include "dataplane/parse.hpp"
#include "dataplane/refuse.hpp"

namespace pgrid::wire {
namespace {

using Bytes = std::vector<std::byte>;

std::string read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}
const std::string& document() {
  static const std::string text = read_file(PGRID_MESSAGE_1);
  return text;
}

/// The text of the block that begins with ```NAME, without its fences.
std::string block(const std::string& name) {
  const std::string fence = "\n```" + name + "\n";
  const std::size_t begin = document().find(fence);
  EXPECT_NE(begin, std::string::npos) << name;
  if (begin == std::string::npos) return {};
  const std::size_t from = begin + fence.size();
  return document().substr(from, document().find("\n```", from) + 1 - from);
}

/// The bytes of an example, as the document explains its notation.
Bytes example(const std::string& name) {
  Bytes bytes;
  std::istringstream lines(block("hex " + name));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    for (std::string word; words >> word;) {
      if (word == "<pCID>") {
        for (const auto byte : kMessage1Cid) bytes.push_back(std::byte{byte});
      } else if (word == "*") {
        std::size_t count = 0;
        words >> count;
        bytes.insert(bytes.end(), count - 1, Bytes::value_type(bytes.back()));
      } else {
        bytes.push_back(static_cast<std::byte>(std::stoul(word, nullptr, 16)));
      }
    }
  }
  return bytes;
}

constexpr std::array<std::uint8_t, 8> kId{1, 2, 3, 4, 5, 6, 7, 8};
const RightRef kRight{7, 3, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};

/// Keeps the aligned copy that the view borrows.
struct Decoded {
  dataplane::PayloadScratch scratch;
  dataplane::ParsedMessage parsed;
  explicit Decoded(const Bytes& bytes) : parsed(dataplane::parse_message(scratch.align(bytes))) {
    EXPECT_TRUE(parsed.ok) << abi::name_of(parsed.failure);
  }
  [[nodiscard]] const dataplane::MessageView& message() const { return parsed.message; }
  [[nodiscard]] std::string body() const {
    return {reinterpret_cast<const char*>(message().body.data()), message().body.size()};
  }
};

void expect_right(const dataplane::RightOnWire* right) {
  ASSERT_NE(right, nullptr);
  EXPECT_EQ(right->slot(), kRight.slot);
  EXPECT_EQ(right->generation(), kRight.generation);
  EXPECT_EQ(std::memcmp(right->key()->Data(), kRight.key.data(), 16), 0);
}

/// The payload of the answer that the node writes.
Bytes written(const dataplane::AnswerFields& fields, std::string_view body) {
  dataplane::ReturnPath path{};
  path.ip_version = 4;
  Bytes frame(dataplane::kAnswerFrameMax);
  frame.resize(
      dataplane::write_answer_frame(frame.data(), path, fields, std::as_bytes(std::span(body)), false));
  return {frame.begin() + 14 + 20 + 8, frame.end()};
}

TEST(Message1, SchemaInTheDocumentIsTheSchema) { EXPECT_EQ(block("fbs"), read_file(PGRID_MESSAGE_FBS)); }

TEST(Message1, PcidIsTheDocumentsHash) {
  std::uint8_t hash[crypto_hash_sha256_BYTES];
  crypto_hash_sha256(hash, reinterpret_cast<const std::uint8_t*>(document().data()), document().size());
  const std::uint8_t head[] = {0x01, 0x55, 0x12, 0x20};
  EXPECT_EQ(std::memcmp(kMessage1Cid.data(), head, 4), 0);
  EXPECT_EQ(std::memcmp(kMessage1Cid.data() + 4, hash, 32), 0);
  EXPECT_EQ(kMessage1CidText.size(), 59u);  // "b", then 36 * 8 / 5 rounded up
  EXPECT_TRUE(kMessage1CidText.starts_with("bafkrei"));
}

TEST(Message1, RequestExampleDecodes) {
  const Decoded decoded(example("request"));
  EXPECT_EQ(decoded.message().kind, abi::Kind::request);
  expect_right(decoded.message().to);
  EXPECT_EQ(decoded.message().reply_to, nullptr);
  EXPECT_EQ(decoded.message().id, kId);
  EXPECT_EQ(decoded.message().deadline_us, 50'000u);
  EXPECT_EQ(decoded.message().nb_rights, 0u);
  EXPECT_EQ(decoded.body(), "hello");
  EXPECT_EQ(example("request").size(), 130u);
}

TEST(Message1, LongRequestExampleDecodes) {
  const Bytes bytes = example("long_request");
  EXPECT_EQ(bytes[kPrefixSize], std::byte{0x59});
  const Decoded decoded(bytes);
  expect_right(decoded.message().to);
  EXPECT_EQ(decoded.body(), std::string(200, 'a'));
  EXPECT_EQ(bytes.size(), 322u);
}

TEST(Message1, AnswerExamplesAreWhatTheNodeWrites) {
  const Bytes answer = example("answer");
  EXPECT_EQ(answer, written({abi::Kind::answer, abi::Reason::none, kId}, "HELLO"));
  EXPECT_EQ(answer.size(), 106u);
  const Decoded decoded(answer);
  EXPECT_EQ(decoded.message().kind, abi::Kind::answer);
  EXPECT_EQ(decoded.message().id, kId);
  EXPECT_EQ(decoded.body(), "HELLO");

  const Bytes refusal = example("non_commitment");
  EXPECT_EQ(refusal, written({abi::Kind::non_commitment, abi::Reason::no_such_right, kId}, ""));
  EXPECT_EQ(refusal.size(), 86u);
  EXPECT_EQ(Decoded(refusal).message().reason, abi::Reason::no_such_right);
}

TEST(Message1, RightExampleIsTheRightsText) {
  EXPECT_NE(document().find("\n    " + to_text(GridUri{"192.0.2.1", 4646, kRight}) + "\n"), std::string::npos)
      << to_text(GridUri{"192.0.2.1", 4646, kRight});
}

// Every number, with its name, has its row.
TEST(Message1, TablesNameEveryKindAndReason) {
  for (std::uint8_t kind = 0; kind < abi::kKindCount; ++kind) {
    std::string name(abi::name_of(abi::Kind{kind}));
    if (name == "non_commitment") name = "non-commitment";
    EXPECT_NE(document().find("\n| " + std::to_string(kind) + " | " + name), std::string::npos) << name;
  }
  for (std::uint16_t reason = 0; reason < abi::kReasonCount; ++reason) {
    const std::string name(abi::name_of(abi::Reason{reason}));
    EXPECT_NE(document().find("\n| " + std::to_string(reason) + " | " + name + " |"), std::string::npos)
        << name;
  }
}

TEST(Message1, NumbersAreTheCodes) {
  const auto says = [](const std::string& text) { return document().find(text) != std::string::npos; };
  EXPECT_TRUE(says("port " + std::to_string(kUdpPort)));
  EXPECT_TRUE(says("| UDP payload | 1,232 bytes |") && kPayloadMax == 1232);
  EXPECT_TRUE(says("24 to 1,180 bytes, a multiple of 4") && kFlatBufferMin == 24 && kFlatBufferMax == 1180);
  EXPECT_TRUE(says("FlatBuffer of 24 to 252 bytes") && kShortContentMax == 252);
  EXPECT_TRUE(says("| body | 1,024 bytes") && abi::kBodyMax == 1024);
  EXPECT_TRUE(says("| carried rights | 4 |") && abi::kCarriedRightsMax == 4);
  EXPECT_TRUE(says("about 100 of them a second") && dataplane::kRefusalRate == 100);
  EXPECT_TRUE(says("first burst of 64") && dataplane::kRefusalBurst == 64);
}

}  // namespace
}  // namespace pgrid::wire
