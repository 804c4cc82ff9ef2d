// The name of a token: CIDv1, DAG-CBOR, SHA-256, over all its bytes as received (UCAN 1.0.0, "Content
// Identifiers"). Written in base58btc, as that section says; read in any base (multibase.hpp).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pgrid::token {

using Digest = std::array<std::uint8_t, 32>;  // SHA-256

inline constexpr std::size_t kCidBytes = 36;
inline constexpr std::array<std::uint8_t, 4> kCidPrefix = {0x01, 0x71, 0x12,
                                                           0x20};  // v1, dag-cbor, sha2-256, 32 bytes

[[nodiscard]] Digest digest_of(std::span<const std::uint8_t> bytes);

/// Whether `bytes` is exactly one CID, of whatever version, codec and hash.
[[nodiscard]] bool is_cid(std::span<const std::uint8_t> bytes);

/// The digest within the binary CID of a token; nothing for any other CID.
[[nodiscard]] std::optional<Digest> token_digest(std::span<const std::uint8_t> cid);

[[nodiscard]] std::array<std::uint8_t, kCidBytes> cid_bytes(const Digest& digest);
/// "zdpu…"
[[nodiscard]] std::string cid_text(const Digest& digest);

/// The binary CID in a text of any base, or of version 0 ("Qm…"); nothing if it is no CID.
[[nodiscard]] std::optional<std::string> cid_from_text(std::string_view text);
/// The digest of a token's CID in any base.
[[nodiscard]] std::optional<Digest> token_digest_from_text(std::string_view text);

}  // namespace pgrid::token
