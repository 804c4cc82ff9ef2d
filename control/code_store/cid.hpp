// The name of a piece of code: CIDv1, raw, sha2-256, written in base32 (RFC 4648, lower case, prefix "b").
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace pgrid::control {

using Digest = std::array<std::uint8_t, 32>;  // SHA-256

struct Cid {
  Digest digest{};
  [[nodiscard]] std::string text() const;
};

[[nodiscard]] Cid cid_of(std::span<const std::uint8_t> module);

/// Whether `text` is written exactly as text() writes it, so that it is safe as a file name.
[[nodiscard]] bool is_cid_text(std::string_view text);

/// The digest within a CID's text. REQUIRES: is_cid_text(text).
[[nodiscard]] Digest digest_of(std::string_view text);

}  // namespace pgrid::control
