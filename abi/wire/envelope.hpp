// The upstream envelope around a message-1 FlatBuffer: CBOR tag 1735551332 around [42(pCID), byte string]. Layout and
// rules: message-1.md, "The datagram". Pure functions over bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "abi/wire/pcid.hpp"  // generated from message-1.md: kMessage1Cid

namespace pgrid::wire {

inline constexpr std::uint16_t kUdpPort = 4646;
inline constexpr std::size_t kPayloadMax = 1232;  // 1,280 (IPv6 minimum MTU, RFC 8200) - 40 (IPv6) - 8 (UDP)
inline constexpr std::size_t kCidSize = 36;       // 01 55 12 20 + SHA-256: CIDv1, raw, sha2-256, 32 bytes
inline constexpr std::size_t kPrefixSize = 47;    // grid tag 5, array 1, tag 42 2, string header 2, 00, CID 36
inline constexpr std::size_t kFlatBufferOffset = 50;
inline constexpr std::size_t kFlatBufferMin = 24;
inline constexpr std::size_t kFlatBufferMax = 1180;  // kPayloadMax - 50 = 1,182, down to a multiple of 4
inline constexpr std::size_t kShortContentMax = 252; // largest multiple of 4 that, with the pad byte, one byte can count

/// The constant first 47 bytes of every message-1 datagram.
inline constexpr auto kMessage1Prefix = [] {
  std::array<std::uint8_t, kPrefixSize> bytes{0xda, 0x67, 0x72, 0x69, 0x64, 0x82, 0xd8, 0x2a, 0x58, 0x25, 0x00};
  for (std::size_t i = 0; i < kCidSize; ++i) bytes[11 + i] = kMessage1Cid[i];
  return bytes;
}();

enum class Envelope : std::uint8_t {
  message_1,         // `content` is the FlatBuffer, not yet verified
  unknown_protocol,  // a well-formed envelope with another pCID: refused, not guessed at
  payload_too_long,
  truncated,
  not_grid,
  malformed,
  not_shortest,
  length,        // ends before or after the datagram does
  padding,
  content_size,  // not a multiple of 4, or not 24 to 1,180 bytes
};

struct OpenedEnvelope {
  Envelope verdict;
  std::span<const std::byte> content;
};

namespace detail {

constexpr std::uint8_t u8(std::span<const std::byte> bytes, std::size_t i) { return std::to_integer<std::uint8_t>(bytes[i]); }

/// Anything that does not begin with our constant prefix. Cold: nothing is answered here without a rate limit.
[[gnu::cold, gnu::noinline]] inline Envelope classify_foreign(std::span<const std::byte> p) noexcept {
  for (std::size_t i = 0; i < 5; ++i) {
    if (i >= p.size()) return Envelope::truncated;
    if (u8(p, i) != kMessage1Prefix[i]) return Envelope::not_grid;
  }
  // Array of 1 to 23 slots, whose first is tag 42 around a byte string that begins with 00 and holds 4 to 255 bytes of CID.
  if (p.size() < 6) return Envelope::truncated;
  const std::uint8_t array = u8(p, 5);
  if (array == 0x98 || array == 0x99 || array == 0x9a || array == 0x9b)
    return p.size() < 7 ? Envelope::truncated : (array == 0x98 && u8(p, 6) >= 24) ? Envelope::malformed : Envelope::not_shortest;
  if (array < 0x81 || array > 0x97) return Envelope::malformed;
  if (p.size() < 8) return Envelope::truncated;
  if (u8(p, 6) != 0xd8) return u8(p, 6) == 0xd9 ? Envelope::not_shortest : Envelope::malformed;
  if (u8(p, 7) != 0x2a) return Envelope::malformed;
  if (p.size() < 9) return Envelope::truncated;
  std::size_t begin = 9;
  std::size_t length = 0;
  const std::uint8_t head = u8(p, 8);
  if (head >= 0x45 && head <= 0x57) {
    length = head - 0x40u;
  } else if (head == 0x58) {
    if (p.size() < 10) return Envelope::truncated;
    length = u8(p, 9);
    begin = 10;
    if (length < 24) return Envelope::not_shortest;
  } else {
    return head == 0x59 || head == 0x5a || head == 0x5b ? Envelope::not_shortest : Envelope::malformed;
  }
  if (begin >= p.size()) return Envelope::truncated;
  if (u8(p, begin) != 0x00) return Envelope::malformed;
  if (length > p.size() - begin) return Envelope::truncated;
  // The whole prefix could only be ours with another array length: [42(our pCID)] or three slots.
  if (length == kCidSize + 1 && std::memcmp(p.data() + begin + 1, kMessage1Cid.data(), kCidSize) == 0)
    return Envelope::malformed;
  return Envelope::unknown_protocol;
}

}  // namespace detail

/// Whether the constant 47 bytes stand at `p`: three vectors, the last two of which overlap. A call of memcmp costs as much as
/// the rest of this file. REQUIRES: kPrefixSize readable bytes.
[[nodiscard]] inline bool has_prefix(const std::byte* p) noexcept {
  using Bytes = std::uint64_t __attribute__((vector_size(16)));
  const auto difference = [p](std::size_t at) {
    Bytes here;
    Bytes wanted;
    std::memcpy(&here, p + at, sizeof here);
    std::memcpy(&wanted, kMessage1Prefix.data() + at, sizeof wanted);
    return here ^ wanted;
  };
  static_assert(kPrefixSize == 47);
  const Bytes all = difference(0) | difference(16) | difference(31);
  return (all[0] | all[1]) == 0;
}

/// Looks at a UDP payload. Bounds first; nothing behind the payload is read.
[[nodiscard]] inline OpenedEnvelope open_envelope(std::span<const std::byte> payload) noexcept {
  if (payload.size() > kPayloadMax) [[unlikely]] return {Envelope::payload_too_long, {}};
  if (payload.size() < kPrefixSize || !has_prefix(payload.data())) [[unlikely]] {
    if (payload.size() < kPrefixSize &&
        (payload.empty() || std::memcmp(payload.data(), kMessage1Prefix.data(), payload.size()) == 0))
      return {Envelope::truncated, {}};
    return {detail::classify_foreign(payload), {}};
  }
  if (payload.size() < kFlatBufferOffset) [[unlikely]] return {Envelope::truncated, {}};
  const std::uint8_t head = detail::u8(payload, 47);
  const std::size_t content = payload.size() - kFlatBufferOffset;
  if (head == 0x58) {
    const std::size_t length = detail::u8(payload, 48);
    if (length < 24) [[unlikely]] return {Envelope::not_shortest, {}};
    if (length != content + 1) [[unlikely]]
      return {length > content + 1 ? Envelope::truncated : Envelope::length, {}};
    if (detail::u8(payload, 49) != 0x00) [[unlikely]] return {Envelope::padding, {}};
  } else if (head == 0x59) {
    const std::size_t length = std::size_t{detail::u8(payload, 48)} << 8 | detail::u8(payload, 49);
    if (length < 256) [[unlikely]] return {Envelope::not_shortest, {}};
    if (length != content) [[unlikely]] return {length > content ? Envelope::truncated : Envelope::length, {}};
  } else [[unlikely]] {
    return {head == 0x5a || head == 0x5b ? Envelope::not_shortest : Envelope::malformed, {}};
  }
  if (content % 4 != 0 || content < kFlatBufferMin || content > kFlatBufferMax) [[unlikely]]
    return {Envelope::content_size, {}};
  return {Envelope::message_1, payload.subspan(kFlatBufferOffset)};
}

/// Writes the 50 bytes before a FlatBuffer of `content` bytes. REQUIRES: a multiple of 4, 24 to 1,180.
inline void write_envelope(std::byte* payload, std::size_t content) noexcept {
  std::memcpy(payload, kMessage1Prefix.data(), kPrefixSize);
  auto* head = reinterpret_cast<std::uint8_t*>(payload) + kPrefixSize;
  if (content <= kShortContentMax) {
    head[0] = 0x58;
    head[1] = static_cast<std::uint8_t>(content + 1);
    head[2] = 0x00;
  } else {
    head[0] = 0x59;
    head[1] = static_cast<std::uint8_t>(content >> 8);
    head[2] = static_cast<std::uint8_t>(content);
  }
}

}  // namespace pgrid::wire
