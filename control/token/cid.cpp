#include "control/token/cid.hpp"

#include <sodium.h>

#include <algorithm>

#include "control/token/multibase.hpp"

namespace pgrid::token {
namespace {

/// Unsigned varint of multiformats: at most nine bytes, no needless ones.
std::optional<std::uint64_t> take_varint(std::span<const std::uint8_t>& bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size() && i < 9; ++i) {
    value |= static_cast<std::uint64_t>(bytes[i] & 0x7f) << (7 * i);
    if (bytes[i] & 0x80) continue;
    if (i != 0 && bytes[i] == 0) return std::nullopt;
    bytes = bytes.subspan(i + 1);
    return value;
  }
  return std::nullopt;
}

std::span<const std::uint8_t> span_of(const std::string& bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

}  // namespace

Digest digest_of(std::span<const std::uint8_t> bytes) {
  Digest digest;
  crypto_hash_sha256(digest.data(), bytes.data(), bytes.size());
  return digest;
}

bool is_cid(std::span<const std::uint8_t> bytes) {
  if (bytes.size() == 34 && bytes[0] == 0x12 && bytes[1] == 0x20)
    return true;  // version 0: a bare SHA-256 multihash
  const auto version = take_varint(bytes);
  const auto codec = take_varint(bytes);
  const auto hash = take_varint(bytes);
  const auto length = take_varint(bytes);
  return version && codec && hash && length && *version == 1 && *length == bytes.size();
}

std::optional<Digest> token_digest(std::span<const std::uint8_t> cid) {
  if (cid.size() != kCidBytes || !std::equal(kCidPrefix.begin(), kCidPrefix.end(), cid.begin()))
    return std::nullopt;
  Digest digest;
  std::copy(cid.begin() + kCidPrefix.size(), cid.end(), digest.begin());
  return digest;
}

std::array<std::uint8_t, kCidBytes> cid_bytes(const Digest& digest) {
  std::array<std::uint8_t, kCidBytes> bytes;
  std::copy(digest.begin(), digest.end(), std::copy(kCidPrefix.begin(), kCidPrefix.end(), bytes.begin()));
  return bytes;
}

std::string cid_text(const Digest& digest) { return 'z' + base58(cid_bytes(digest)); }

std::optional<std::string> cid_from_text(std::string_view text) {
  std::optional<std::string> bytes =
      text.size() == 46 && text.starts_with("Qm") ? from_base58(text) : from_multibase(text);
  if (!bytes || !is_cid(span_of(*bytes))) return std::nullopt;
  return bytes;
}

std::optional<Digest> token_digest_from_text(std::string_view text) {
  const std::optional<std::string> bytes = cid_from_text(text);
  return bytes ? token_digest(span_of(*bytes)) : std::nullopt;
}

}  // namespace pgrid::token
