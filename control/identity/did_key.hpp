// did:key with Ed25519: "did:key:z" and base58btc of 0xed 0x01 and the 32 bytes of the public key
// (W3C CCG, did-method-key; multicodec ed25519-pub).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pgrid::identity {

using PublicKey = std::array<std::uint8_t, 32>;

inline constexpr std::size_t kDidTextMax =
    56;  // "did:key:z" and 47 characters: 58^46 < 0xed01 << 256 < 58^47

[[nodiscard]] std::string did_of(const PublicKey& key);

/// The key in a did:key of Ed25519, written as `did_of` writes it; nothing for any other.
[[nodiscard]] std::optional<PublicKey> key_of(std::string_view did);

/// A DID without its fragment, which says only which of its keys was used (UCAN delegation, "Principal
/// Alignment").
[[nodiscard]] inline std::string_view without_fragment(std::string_view did) {
  return did.substr(0, did.find('#'));
}

}  // namespace pgrid::identity
