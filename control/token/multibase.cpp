#include "control/token/multibase.hpp"

#include <algorithm>
#include <array>

namespace pgrid::token {
namespace {

constexpr std::string_view kBase58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
constexpr std::string_view kFlickr = "123456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ";
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kBase64Url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view kBase36 = "0123456789abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kBase36Upper = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

struct Base {
  char letter;
  std::string_view alphabet;
  unsigned bits;  // of a character; 0: the text is one number
  bool padded;    // with "=" to whole groups
};

constexpr Base kBases[] = {
    {'0', "01", 1, false},
    {'7', "01234567", 3, false},
    {'9', "0123456789", 0, false},
    {'f', "0123456789abcdef", 4, false},
    {'F', "0123456789ABCDEF", 4, false},
    {'b', "abcdefghijklmnopqrstuvwxyz234567", 5, false},
    {'B', "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 5, false},
    {'c', "abcdefghijklmnopqrstuvwxyz234567", 5, true},
    {'C', "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 5, true},
    {'v', "0123456789abcdefghijklmnopqrstuv", 5, false},
    {'V', "0123456789ABCDEFGHIJKLMNOPQRSTUV", 5, false},
    {'t', "0123456789abcdefghijklmnopqrstuv", 5, true},
    {'T', "0123456789ABCDEFGHIJKLMNOPQRSTUV", 5, true},
    {'h', "ybndrfg8ejkmcpqxot1uwisza345h769", 5, false},
    {'k', kBase36, 0, false},
    {'K', kBase36Upper, 0, false},
    {'z', kBase58, 0, false},
    {'Z', kFlickr, 0, false},
    {'m', kBase64, 6, false},
    {'M', kBase64, 6, true},
    {'u', kBase64Url, 6, false},
    {'U', kBase64Url, 6, true},
};

/// Value of each character in an alphabet; -1: none.
std::array<std::int8_t, 256> values_of(std::string_view alphabet) {
  std::array<std::int8_t, 256> values;
  values.fill(-1);
  for (std::size_t i = 0; i < alphabet.size(); ++i)
    values[static_cast<unsigned char>(alphabet[i])] = static_cast<std::int8_t>(i);
  return values;
}

/// Bits left over are fewer than a character's and must be zero, so that each byte string has one text.
std::optional<std::string> from_bits(std::string_view text, std::string_view alphabet, unsigned bits) {
  const auto values = values_of(alphabet);
  std::string bytes;
  unsigned pending = 0;
  unsigned nb_pending = 0;
  for (const char c : text) {
    const int value = values[static_cast<unsigned char>(c)];
    if (value < 0) return std::nullopt;
    pending = (pending << bits | static_cast<unsigned>(value)) & 0xffff;
    nb_pending += bits;
    if (nb_pending < 8) continue;
    nb_pending -= 8;
    bytes += static_cast<char>(pending >> nb_pending & 0xff);
  }
  if (nb_pending >= bits || (pending & ((1u << nb_pending) - 1)) != 0) return std::nullopt;
  return bytes;
}

/// A number, most significant digit first; each leading zero digit stands for a zero byte.
std::optional<std::string> from_number(std::string_view text, std::string_view alphabet) {
  if (text.size() > kNumberTextMax) return std::nullopt;
  const auto values = values_of(alphabet);
  std::string reversed;  // least significant byte first
  for (const char c : text) {
    int carry = values[static_cast<unsigned char>(c)];
    if (carry < 0) return std::nullopt;
    for (char& byte : reversed) {
      carry += static_cast<unsigned char>(byte) * static_cast<int>(alphabet.size());
      byte = static_cast<char>(carry & 0xff);
      carry >>= 8;
    }
    for (; carry != 0; carry >>= 8) reversed += static_cast<char>(carry & 0xff);
  }
  const auto zeros = std::min(text.find_first_not_of(alphabet[0]), text.size());
  return std::string(zeros, '\0') + std::string(reversed.rbegin(), reversed.rend());
}

}  // namespace

std::optional<std::string> from_multibase(std::string_view text) {
  if (text.empty()) return std::nullopt;
  for (const Base& base : kBases) {
    if (base.letter != text[0]) continue;
    text.remove_prefix(1);
    if (base.bits == 0) return from_number(text, base.alphabet);
    if (base.padded) {
      const std::size_t group = base.bits == 5 ? 8 : 4;
      if (text.size() % group != 0) return std::nullopt;
      const std::size_t end = text.find_last_not_of('=') + 1;
      if (text.size() - end >= group) return std::nullopt;
      text = text.substr(0, end);
    }
    return from_bits(text, base.alphabet, base.bits);
  }
  return std::nullopt;
}

std::string base58(std::span<const std::uint8_t> bytes) {
  std::string digits;  // least significant first, as values
  for (const std::uint8_t byte : bytes) {
    unsigned carry = byte;
    for (char& digit : digits) {
      carry += static_cast<unsigned>(digit) << 8;
      digit = static_cast<char>(carry % 58);
      carry /= 58;
    }
    for (; carry != 0; carry /= 58) digits += static_cast<char>(carry % 58);
  }
  std::string text;
  for (std::size_t i = 0; i < bytes.size() && bytes[i] == 0; ++i) text += kBase58[0];
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit)
    text += kBase58[static_cast<unsigned char>(*digit)];
  return text;
}

std::optional<std::string> from_base58(std::string_view text) { return from_number(text, kBase58); }

std::optional<std::string> from_base64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  const bool url = text.find_first_of("-_") != std::string_view::npos;
  return from_bits(text, url ? kBase64Url : kBase64, 6);
}

std::string base64(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t nb = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = group << 8 | (k < nb ? bytes[i + k] : 0u);
    for (std::size_t k = 0; k < 4; ++k) text += k <= nb ? kBase64[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

}  // namespace pgrid::token
