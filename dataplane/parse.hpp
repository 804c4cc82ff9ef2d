// From a UDP payload to a message: the envelope, then the bounds of every field (message_fields.hpp), then what message-1 says a
// message must have. Whether the sender may do what it asks is not decided here: see authorize.hpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "abi/shared/counters.hpp"
#include "abi/shared/geometry.hpp"
#include "abi/shared/reason.hpp"
#include "abi/wire/envelope.hpp"
#include "abi/wire/message_generated.h"

namespace pgrid::dataplane {

/// A right as it lies in a datagram: slot(), generation(), key(). 24 bytes, little-endian.
using RightOnWire = wire::Right;
static_assert(sizeof(RightOnWire) == 24);

/// A checked message. Borrows the payload's bytes.
struct MessageView {
  abi::Kind kind = abi::Kind::request;
  abi::Reason reason = abi::Reason::none;  // of a non-commitment; may be a number that we do not know
  const RightOnWire* to = nullptr;         // never null for a request
  const RightOnWire* reply_to = nullptr;   // null: the answer bears only the id
  std::array<std::uint8_t, 8> id{};        // zero when the sender gave none
  std::uint32_t deadline_us = 0;           // 0: the right's maximum
  std::uint32_t nb_rights = 0;             // carried, at most abi::kCarriedRightsMax
  std::span<const std::byte> body;  // may be longer than abi::kBodyMax: that is `too_large`, not malformed
};

struct ParsedMessage {
  abi::Counter
      failure;  // when not ok; Counter::unknown_protocol for a well-formed envelope with another pCID
  bool ok;
  MessageView message;
};

/// Whether the FlatBuffer in this payload lies on a multiple of 4. Ethernet frames whose IP header has no
/// options do so (DESIGN section 3); others are copied by the caller to a scratch buffer for which this
/// holds.
[[nodiscard]] inline bool is_aligned(std::span<const std::byte> payload) noexcept {
  return (reinterpret_cast<std::uintptr_t>(payload.data()) + wire::kFlatBufferOffset) % 4 == 0;
}

/// Bytes of such a scratch buffer, and where in it the payload goes: 2 + 50 is a multiple of 4.
inline constexpr std::size_t kScratchOffset = 2;
struct alignas(64) PayloadScratch {
  std::byte bytes[kScratchOffset + wire::kPayloadMax];
  /// Copies the payload; what is longer than any datagram may be stays where it is and fails as
  /// payload_too_long.
  [[nodiscard]] std::span<const std::byte> align(std::span<const std::byte> payload) noexcept {
    if (payload.size() > wire::kPayloadMax) return payload;
    std::memcpy(bytes + kScratchOffset, payload.data(), payload.size());
    return {bytes + kScratchOffset, payload.size()};
  }
};

/// REQUIRES: is_aligned(payload), otherwise it is refused as message_malformed.
[[nodiscard]] ParsedMessage parse_message(std::span<const std::byte> payload) noexcept;

}  // namespace pgrid::dataplane
