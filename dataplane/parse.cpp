#include "dataplane/parse.hpp"

#include <cstring>

#include "dataplane/message_fields.hpp"

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

template <typename T>
T load(const std::uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
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
  MessageFields fields;
  if (!is_aligned(payload) || !find_fields({content, opened.content.size()}, fields)) [[unlikely]] {
    parsed.failure = Counter::message_malformed;
    return parsed;
  }

  const std::uint8_t kind = fields.kind != 0 ? content[fields.kind] : 0;
  if (kind >= abi::kKindCount) [[unlikely]] {
    parsed.failure = Counter::message_kind_unknown;
    return parsed;
  }

  MessageView& message = parsed.message;
  message.kind = abi::Kind{kind};
  if (fields.reason != 0) message.reason = abi::Reason{load<std::uint16_t>(content + fields.reason)};
  if (fields.to != 0) message.to = reinterpret_cast<const RightOnWire*>(content + fields.to);
  if (fields.reply_to != 0) message.reply_to = reinterpret_cast<const RightOnWire*>(content + fields.reply_to);
  if (fields.deadline_us != 0) message.deadline_us = load<std::uint32_t>(content + fields.deadline_us);
  if (message.kind == abi::Kind::request && message.to == nullptr) [[unlikely]] {
    parsed.failure = Counter::message_right_missing;
    return parsed;
  }
  if (fields.id != 0) std::memcpy(message.id.data(), content + fields.id, message.id.size());
  if (fields.rights != 0) {
    const auto count = load<std::uint32_t>(content + fields.rights);
    if (count > abi::kCarriedRightsMax) [[unlikely]] {
      parsed.failure = Counter::message_rights_too_many;
      return parsed;
    }
    message.nb_rights = count;
  }
  if (fields.body != 0)
    message.body = {opened.content.data() + fields.body + 4, load<std::uint32_t>(content + fields.body)};
  parsed.ok = true;
  return parsed;
}

}  // namespace pgrid::dataplane
