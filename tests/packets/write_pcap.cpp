// Writes capture files for tests/tools/wireshark_test.py, each with a list of what the node makes of every frame, so that a
// dissector in another language can be compared with it:
//
//   packets     every row of the packet table, over IPv4 and IPv6, without and with a VLAN tag
//   mutated     messages of the table with random changes (a fixed seed): the verdict is the node's parser's
//   exchanges   requests with what came back
//
// usage: write_pcap DIRECTORY: fills DIRECTORY/{packets,mutated,exchanges}.{pcap,jsonl}
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "dataplane/frame.hpp"
#include "dataplane/parse.hpp"
#include "tests/packets/node_under_test.hpp"
#include "tests/packets/packet_table.hpp"

namespace pgrid::test {
namespace {

constexpr std::size_t kMutated = 6000;
constexpr std::uint32_t kRequestToReplyUs = 250;

std::string hex(const void* data, std::size_t size) {
  std::string text;
  char two[3];
  for (std::size_t i = 0; i < size; ++i) {
    std::snprintf(two, sizeof two, "%02x", static_cast<const std::uint8_t*>(data)[i]);
    text += two;
  }
  return text;
}

/// One JSON object on one line. Names and values are ours: nothing needs escaping but quotes.
class Line {
 public:
  Line& text(const char* name, std::string_view value) {
    std::string safe(value);
    for (char& c : safe)
      if (c == '"' || c == '\\') c = '\'';
    return raw(name, '"' + safe + '"');
  }
  Line& number(const char* name, std::uint64_t value) { return raw(name, std::to_string(value)); }
  Line& raw(const char* name, const std::string& value) {
    text_ += std::string(text_.empty() ? "{" : ", ") + '"' + name + "\": " + value;
    return *this;
  }
  [[nodiscard]] std::string str() const { return text_ + "}"; }

 private:
  std::string text_;
};

/// A capture file (https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/) and the list beside it.
class Capture {
 public:
  explicit Capture(const std::string& stem) : pcap_(stem + ".pcap", std::ios::binary), list_(stem + ".jsonl") {
    for (const std::uint32_t word : {0xa1b2c3d4u, 0x0004'0002u, 0u, 0u, 65535u, 1u /* Ethernet */}) put(word);
  }
  void add(const Bytes& frame, const Line& line, std::uint64_t at_us) {
    const auto length = static_cast<std::uint32_t>(frame.size());
    put(static_cast<std::uint32_t>(at_us / 1'000'000));
    put(static_cast<std::uint32_t>(at_us % 1'000'000));
    put(length);
    put(length);
    pcap_.write(reinterpret_cast<const char*>(frame.data()), static_cast<std::streamsize>(frame.size()));
    list_ << line.str() << '\n';
  }
  [[nodiscard]] bool close() {
    pcap_.close();
    list_.close();
    return pcap_ && list_;
  }

 private:
  void put(std::uint32_t word) { pcap_.write(reinterpret_cast<const char*>(&word), sizeof word); }
  std::ofstream pcap_;
  std::ofstream list_;
};

std::string right_text(const wire::Right& right) {
  return Line()
      .number("slot", right.slot())
      .number("generation", right.generation())
      .text("key", hex(right.key()->data(), right.key()->size()))
      .str();
}

/// The message's fields by the generated accessors, or "null" where the generated verifier refuses it.
std::string fields_of(std::span<const std::byte> payload) {
  const wire::OpenedEnvelope opened = wire::open_envelope(payload);
  if (opened.verdict != wire::Envelope::message_1) return "null";
  const auto* content = reinterpret_cast<const std::uint8_t*>(opened.content.data());
  flatbuffers::Verifier verifier(content, opened.content.size(), 1, 1);
  if (!wire::VerifyMessageBuffer(verifier)) return "null";
  const wire::Message& message = *wire::GetMessage(content);
  std::string rights;
  if (message.rights() != nullptr)
    for (const wire::Right* right : *message.rights()) rights += (rights.empty() ? "" : ", ") + right_text(*right);
  Line line;
  line.number("kind", static_cast<std::uint8_t>(message.kind())).number("deadline_us", message.deadline_us());
  line.number("reason", message.reason()).raw("rights", "[" + rights + "]");
  line.raw("to", message.to() != nullptr ? right_text(*message.to()) : "null");
  line.raw("reply_to", message.reply_to() != nullptr ? right_text(*message.reply_to()) : "null");
  line.text("id", message.id() != nullptr ? hex(message.id()->bytes()->data(), 8) : std::string(16, '0'));
  line.text("body", message.body() != nullptr ? hex(message.body()->data(), message.body()->size()) : "");
  return line.str();
}

/// What the parser makes of a payload: the counter of its failure, or "ok".
Line verdict_of(std::span<const std::byte> payload) {
  auto scratch = std::make_unique<dataplane::PayloadScratch>();
  const auto aligned = scratch->align(payload);
  const dataplane::ParsedMessage parsed = dataplane::parse_message(aligned);
  Line line;
  line.text("verdict", parsed.ok ? "ok" : abi::name_of(parsed.failure));
  line.raw("fields", fields_of(aligned));
  return line;
}

dataplane::ParsedFrame parse(const Bytes& frame) {
  return dataplane::parse_frame(frame, node_identity(), dataplane::ChecksumStatus::unknown, dataplane::ChecksumStatus::unknown);
}

bool write_packets(const std::string& directory) {
  Capture capture(directory + "/packets");
  std::uint64_t at_us = 0;
  for (const Row& row : packet_table()) {
    for (const Variant& variant : variants_of(row)) {
      const Bytes frame = row.frame(variant);
      const auto parsed = parse(frame);
      const bool message = parsed.kind == dataplane::FrameKind::message;
      Line line = message ? verdict_of(parsed.frame.payload) : Line().text("verdict", "").raw("fields", "null");
      line.text("row", row.description).text("variant", variant.name()).text("counter", abi::name_of(row.counter));
      capture.add(frame, line, at_us += 1000);
    }
  }
  return capture.close();
}

/// Whole messages of the table, and some changes: bytes written over, cut off, added, taken out.
bool write_mutated(const std::string& directory) {
  std::vector<Bytes> payloads;
  for (const Row& row : packet_table()) {
    const Bytes frame = row.frame({row.over == Over::v6 ? 6 : 4, false});
    const auto parsed = parse(frame);
    if (parsed.kind == dataplane::FrameKind::message && !parsed.frame.payload.empty())
      payloads.emplace_back(parsed.frame.payload.begin(), parsed.frame.payload.end());
  }
  Capture capture(directory + "/mutated");
  std::mt19937 random(4646);
  for (std::size_t i = 0; i < kMutated; ++i) {
    Bytes payload = payloads[random() % payloads.size()];
    for (auto changes = 1 + random() % 3; changes != 0 && !payload.empty(); --changes) {
      // Mostly where offsets lie: behind the envelope the root, the vtable and the table's beginning.
      const std::size_t anywhere = random() % payload.size();
      const std::size_t at = random() % 4 == 0 ? anywhere : std::min<std::size_t>(47 + random() % 64, payload.size() - 1);
      const auto where = payload.begin() + static_cast<std::ptrdiff_t>(at);
      const auto value = static_cast<std::byte>(random() % 3 == 0 ? random() : random() % 64);
      switch (random() % 16) {
        case 0:
          payload.resize(at);
          break;
        case 1:
          payload.insert(where, value);
          break;
        case 2:
          payload.erase(where);
          break;
        default:
          *where = value;
      }
    }
    const Variant variant{random() % 2 == 0 ? 4 : 6, random() % 2 == 0};
    capture.add(PacketBuilder(variant).payload(payload).build(), verdict_of(payload), 1000 * i);
  }
  return capture.close();
}

/// Rows that the node answers, as often as they are sent, and a request that a function answers.
bool write_exchanges(const std::string& directory) {
  Capture capture(directory + "/exchanges");
  std::uint64_t at_us = 0;
  const auto add = [&](const std::vector<Bytes>& requests, const Bytes& reply, std::string_view reason) {
    for (const Bytes& request : requests) capture.add(request, Line().text("is", "request"), at_us += 1000);
    capture.add(reply, Line().text("is", "reply").text("reason", reason), at_us + kRequestToReplyUs);
  };
  for (const Row& row : packet_table()) {
    for (const Variant& variant : variants_of(row)) {
      if (row.reply.what == Reply::What::own_protocol) continue;
      const std::vector<Bytes> frames(static_cast<std::size_t>(row.times), row.frame(variant));
      NodeUnderTest node;
      node.receive(frames);
      if (row.counter == abi::Counter::dispatched && row.times == 1 && !node.worker_requests().empty()) node.answer("HELLO");
      if (!node.sent().empty()) add(frames, node.sent().front(), abi::name_of(row.reply.reason));
    }
  }
  return capture.close();
}

}  // namespace
}  // namespace pgrid::test

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: write_pcap DIRECTORY\n");
    return 2;
  }
  const std::string directory = argv[1];
  if (!pgrid::test::write_packets(directory) || !pgrid::test::write_mutated(directory) || !pgrid::test::write_exchanges(directory)) {
    std::fprintf(stderr, "write_pcap: writing to %s failed; is the directory there, and the disk not full?\n", argv[1]);
    return 1;
  }
  return 0;
}
