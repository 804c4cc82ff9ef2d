// Builds the UDP payload of a message-1 datagram, right or deliberately wrong, with the generated FlatBuffers
// code.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "abi/shared/reason.hpp"
#include "abi/wire/envelope.hpp"
#include "abi/wire/grid_uri.hpp"
#include "abi/wire/message_generated.h"

namespace pgrid::test {

using Bytes = std::vector<std::byte>;

inline Bytes bytes_of(std::string_view text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

inline wire::Right wire_right(const wire::RightRef& right) {
  return {right.slot, right.generation, flatbuffers::make_span(right.key)};
}

/// A request with an id and a body; the caller says `to` whom.
class MessageBuilder {
 public:
  MessageBuilder& kind(abi::Kind kind) { return kind_ = static_cast<std::uint8_t>(kind), *this; }
  MessageBuilder& kind_number(std::uint8_t kind) { return kind_ = kind, *this; }
  MessageBuilder& to(const wire::RightRef& right) { return to_ = wire_right(right), *this; }
  MessageBuilder& reply_to(const wire::RightRef& right) { return reply_to_ = wire_right(right), *this; }
  MessageBuilder& no_id() { return id_.reset(), *this; }
  MessageBuilder& deadline_us(std::uint32_t us) { return deadline_us_ = us, *this; }
  MessageBuilder& reason(abi::Reason reason) { return reason_ = static_cast<std::uint16_t>(reason), *this; }
  MessageBuilder& rights(std::size_t count) {
    return rights_ = std::vector<wire::Right>(count, wire_right({.slot = 9, .generation = 1})), *this;
  }
  MessageBuilder& body(std::string_view text) { return body_ = bytes_of(text), *this; }
  MessageBuilder& body(std::size_t length) { return body_ = Bytes(length, std::byte{'b'}), *this; }
  MessageBuilder& no_body() { return body_.reset(), *this; }

  [[nodiscard]] Bytes flatbuffer() const {
    flatbuffers::FlatBufferBuilder builder;
    flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> body;
    flatbuffers::Offset<flatbuffers::Vector<const wire::Right*>> rights;
    if (body_)
      body = builder.CreateVector(reinterpret_cast<const std::uint8_t*>(body_->data()), body_->size());
    if (rights_) rights = builder.CreateVectorOfStructs(*rights_);
    const wire::Id id{flatbuffers::make_span(kId)};
    wire::MessageBuilder message(builder);
    message.add_kind(static_cast<wire::Kind>(kind_));
    if (to_) message.add_to(&*to_);
    if (reply_to_) message.add_reply_to(&*reply_to_);
    if (id_) message.add_id(&id);
    message.add_deadline_us(deadline_us_);
    message.add_reason(reason_);
    if (rights_) message.add_rights(rights);
    if (body_) message.add_body(body);
    builder.Finish(message.Finish());
    const auto* begin = reinterpret_cast<const std::byte*>(builder.GetBufferPointer());
    return {begin, begin + builder.GetSize()};
  }

  /// Envelope and FlatBuffer.
  [[nodiscard]] Bytes payload() const { return wrap(flatbuffer()); }

  /// The envelope around any content, with the header that its length asks for, whether or not message-1
  /// allows it.
  [[nodiscard]] static Bytes wrap(const Bytes& content) {
    Bytes payload(wire::kFlatBufferOffset + content.size());
    std::memcpy(payload.data(), wire::kMessage1Prefix.data(), wire::kPrefixSize);
    const std::size_t size = content.size();
    if (size <= wire::kShortContentMax + 2) {
      payload[47] = std::byte{0x58};
      payload[48] = static_cast<std::byte>(size + 1);
    } else {
      payload[47] = std::byte{0x59};
      payload[48] = static_cast<std::byte>(size >> 8);
      payload[49] = static_cast<std::byte>(size);
    }
    if (!content.empty())
      std::memcpy(payload.data() + wire::kFlatBufferOffset, content.data(), content.size());
    return payload;
  }

  static constexpr std::array<std::uint8_t, 8> kId{1, 2, 3, 4, 5, 6, 7, 8};

 private:
  std::uint8_t kind_ = 0;
  std::uint16_t reason_ = 0;
  std::uint32_t deadline_us_ = 0;
  std::optional<bool> id_ = true;
  std::optional<wire::Right> to_;
  std::optional<wire::Right> reply_to_;
  std::optional<std::vector<wire::Right>> rights_;
  std::optional<Bytes> body_ = bytes_of("hello");
};

}  // namespace pgrid::test
