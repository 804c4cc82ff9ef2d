// Bytes as text in the bases of multiformats' multibase table: one letter says which, the rest is the number
// or the bit string. Not read: base45, proquint, emoji.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pgrid::token {

// Characters of a base that is no power of two: reading takes time by their square.
inline constexpr std::size_t kNumberTextMax = 4096;

/// The bytes, or nothing when the text is not written in the base that its first letter names.
[[nodiscard]] std::optional<std::string> from_multibase(std::string_view text);

/// base58btc without its letter.
[[nodiscard]] std::string base58(std::span<const std::uint8_t> bytes);
[[nodiscard]] std::optional<std::string> from_base58(std::string_view text);

/// RFC 4648 base64 in either alphabet, with or without padding, without a letter in front.
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);
[[nodiscard]] std::string base64(std::span<const std::uint8_t> bytes);

}  // namespace pgrid::token
