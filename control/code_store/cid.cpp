#include "control/code_store/cid.hpp"

#include <sodium.h>

#include <algorithm>

#include "drivers/base/check.hpp"

namespace pgrid::control {
namespace {

constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";
constexpr std::uint8_t kPrefix[4] = {0x01, 0x55, 0x12, 0x20};  // CIDv1, raw, sha2-256, 32 bytes
constexpr std::size_t kText = 1 + 58;                          // "b", then ceil(36 * 8 / 5) characters

}  // namespace

std::string Cid::text() const {
  std::array<std::uint8_t, 36> bytes{};
  std::copy(std::begin(kPrefix), std::end(kPrefix), bytes.begin());
  std::copy(digest.begin(), digest.end(), bytes.begin() + 4);
  std::string text = "b";
  std::uint32_t bits = 0;
  unsigned nb_bits = 0;
  for (const std::uint8_t byte : bytes) {
    bits = (bits << 8 | byte) & 0xffff;
    nb_bits += 8;
    while (nb_bits >= 5) text += kAlphabet[bits >> (nb_bits -= 5) & 31];
  }
  text += kAlphabet[bits << (5 - nb_bits) & 31];  // 288 = 57 * 5 + 3
  return text;
}

Cid cid_of(std::span<const std::uint8_t> module) {
  Cid cid;
  crypto_hash_sha256(cid.digest.data(), module.data(), module.size());
  return cid;
}

bool is_cid_text(std::string_view text) {
  return text.size() == kText && text.front() == 'b' &&
         std::all_of(text.begin() + 1, text.end(),
                     [](char c) { return kAlphabet.find(c) != std::string_view::npos; }) &&
         Cid{digest_of(text)}.text() == text;
}

Digest digest_of(std::string_view text) {
  PG_CHECK(text.size() == kText);
  std::array<std::uint8_t, 37> bytes{};
  std::size_t at = 0;
  std::uint32_t bits = 0;
  unsigned nb_bits = 0;
  for (const char c : text.substr(1)) {
    bits = (bits << 5 | static_cast<std::uint32_t>(kAlphabet.find(c) & 31)) & 0xffff;
    nb_bits += 5;
    if (nb_bits >= 8) bytes[at++] = static_cast<std::uint8_t>(bits >> (nb_bits -= 8));
  }
  Digest digest{};
  std::copy_n(bytes.begin() + 4, digest.size(), digest.begin());
  return digest;
}

}  // namespace pgrid::control
