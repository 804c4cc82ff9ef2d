#include "dataplane/parse.hpp"

#include <cstring>

namespace pgrid::dataplane {
namespace {

using abi::Counter;
using wire::Envelope;

/// Cold: one row per way an envelope can be wrong.
[[gnu::cold, gnu::noinline]] Counter counter_of(Envelope verdict) {
  switch (verdict) {
    case Envelope::unknown_protocol:
      return Counter::unknown_protocol;
    case Envelope::payload_too_long:
      return Counter::payload_too_long;
    case Envelope::truncated:
      return Counter::envelope_truncated;
    case Envelope::not_grid:
      return Counter::envelope_not_grid;
    case Envelope::not_shortest:
      return Counter::envelope_not_shortest;
    case Envelope::length:
      return Counter::envelope_length;
    case Envelope::padding:
      return Counter::envelope_padding;
    case Envelope::content_size:
      return Counter::message_size;
    case Envelope::malformed:
    case Envelope::message_1:
      break;
  }
  return Counter::envelope_malformed;
}

}  // namespace

ParsedMessage parse_message(std::span<const std::byte> payload) noexcept {
  // One object on every way out, so that it is built where the caller wants it and never copied.
  ParsedMessage parsed{Counter::rx_packets, false, {}};
  const wire::OpenedEnvelope opened = wire::open_envelope(payload);
  if (opened.verdict != Envelope::message_1) [[unlikely]] {
    parsed.failure = counter_of(opened.verdict);
    return parsed;
  }

  const auto* content = reinterpret_cast<const std::uint8_t*>(opened.content.data());
  constexpr flatbuffers::uoffset_t kDepth = 1;  // one table, nothing nested
  constexpr flatbuffers::uoffset_t kTables = 1;
  flatbuffers::Verifier verifier(content, opened.content.size(), kDepth, kTables);
  if (!wire::VerifyMessageBuffer(verifier)) [[unlikely]] {
    parsed.failure = Counter::message_malformed;
    return parsed;
  }

  const wire::Message& wire_message = *wire::GetMessage(content);
  const auto kind = static_cast<std::uint8_t>(wire_message.kind());
  if (kind >= abi::kKindCount) [[unlikely]] {
    parsed.failure = Counter::message_kind_unknown;
    return parsed;
  }

  MessageView& message = parsed.message;
  message.kind = abi::Kind{kind};
  message.reason = abi::Reason{wire_message.reason()};
  message.to = wire_message.to();
  message.reply_to = wire_message.reply_to();
  message.deadline_us = wire_message.deadline_us();
  if (message.kind == abi::Kind::request && message.to == nullptr) [[unlikely]] {
    parsed.failure = Counter::message_right_missing;
    return parsed;
  }
  if (const auto* id = wire_message.id())
    std::memcpy(message.id.data(), id->bytes()->data(), message.id.size());
  if (const auto* rights = wire_message.rights()) {
    if (rights->size() > abi::kCarriedRightsMax) [[unlikely]] {
      parsed.failure = Counter::message_rights_too_many;
      return parsed;
    }
    message.nb_rights = rights->size();
  }
  if (const auto* body = wire_message.body())
    message.body = {reinterpret_cast<const std::byte*>(body->data()), body->size()};
  parsed.ok = true;
  return parsed;
}

}  // namespace pgrid::dataplane
