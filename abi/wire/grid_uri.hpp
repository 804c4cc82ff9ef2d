// How a right is written for people: grid://HOST:4646/BASE32. BASE32 (RFC 4648, lower case, no padding, 39 characters)
// holds the 24 bytes of a wire right: slot and generation, little-endian, then the key. IPv6 hosts stand in brackets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace pgrid::wire {

struct RightRef {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::array<std::uint8_t, 16> key{};
};

struct GridUri {
  std::string host;  // without brackets
  std::uint16_t port = 4646;
  RightRef right;
};

inline constexpr std::size_t kRightBytes = 24;
inline constexpr std::size_t kRightText = 39;  // ceil(24 * 8 / 5)
inline constexpr std::string_view kBase32 = "abcdefghijklmnopqrstuvwxyz234567";

[[nodiscard]] inline std::string right_to_text(const RightRef& right) {
  std::uint8_t bytes[kRightBytes];
  for (unsigned i = 0; i < 4; ++i) {
    bytes[i] = static_cast<std::uint8_t>(right.slot >> (8 * i));
    bytes[4 + i] = static_cast<std::uint8_t>(right.generation >> (8 * i));
  }
  std::memcpy(bytes + 8, right.key.data(), 16);
  std::string text;
  std::uint32_t bits = 0;
  unsigned nb_bits = 0;
  for (const std::uint8_t byte : bytes) {
    bits = (bits << 8 | byte) & 0xffff;
    nb_bits += 8;
    while (nb_bits >= 5) text += kBase32[bits >> (nb_bits -= 5) & 31];
  }
  text += kBase32[bits << (5 - nb_bits) & 31];  // 192 = 38 * 5 + 2
  return text;
}

/// Nothing when the text is not exactly a right: wrong length, other characters, or bits set behind the last byte.
[[nodiscard]] inline std::optional<RightRef> right_from_text(std::string_view text) {
  if (text.size() != kRightText) return std::nullopt;
  std::uint8_t bytes[kRightBytes + 1] = {};
  std::uint32_t bits = 0;
  unsigned nb_bits = 0;
  std::size_t at = 0;
  for (const char c : text) {
    const std::size_t value = kBase32.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 5 | static_cast<std::uint32_t>(value)) & 0xffff;
    nb_bits += 5;
    if (nb_bits >= 8) bytes[at++] = static_cast<std::uint8_t>(bits >> (nb_bits -= 8));
  }
  if ((bits & ((1u << nb_bits) - 1)) != 0) return std::nullopt;
  RightRef right;
  for (unsigned i = 0; i < 4; ++i) {
    right.slot |= static_cast<std::uint32_t>(bytes[i]) << (8 * i);
    right.generation |= static_cast<std::uint32_t>(bytes[4 + i]) << (8 * i);
  }
  std::memcpy(right.key.data(), bytes + 8, 16);
  return right;
}

[[nodiscard]] inline std::string to_text(const GridUri& uri) {
  const bool v6 = uri.host.find(':') != std::string::npos;
  return "grid://" + (v6 ? "[" + uri.host + "]" : uri.host) + ":" + std::to_string(uri.port) + "/" +
         right_to_text(uri.right);
}

/// Nothing when it is not a grid URI. The port may be left out (4646).
[[nodiscard]] inline std::optional<GridUri> grid_uri_from_text(std::string_view text) {
  constexpr std::string_view scheme = "grid://";
  if (!text.starts_with(scheme)) return std::nullopt;
  text.remove_prefix(scheme.size());
  const std::size_t slash = text.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto right = right_from_text(text.substr(slash + 1));
  if (!right) return std::nullopt;
  GridUri uri;
  uri.right = *right;
  std::string_view authority = text.substr(0, slash);
  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    uri.host = authority.substr(1, close - 1);
    port = authority.substr(close + 1);
  } else {
    const std::size_t colon = authority.find(':');
    uri.host = authority.substr(0, colon);
    port = colon == std::string_view::npos ? std::string_view{} : authority.substr(colon);
  }
  if (uri.host.empty()) return std::nullopt;
  if (!port.empty()) {
    if (port.front() != ':' || port.size() < 2 || port.size() > 6) return std::nullopt;
    std::uint32_t number = 0;
    for (const char c : port.substr(1)) {
      if (c < '0' || c > '9') return std::nullopt;
      number = number * 10 + static_cast<std::uint32_t>(c - '0');
    }
    if (number == 0 || number > 65535) return std::nullopt;
    uri.port = static_cast<std::uint16_t>(number);
  }
  return uri;
}

}  // namespace pgrid::wire
