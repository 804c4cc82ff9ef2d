// Tokens that travel together: one behind the other, as bytes or as text. A delegation goes with those before
// it, root first; an invocation stands before its proofs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/token/dag_cbor.hpp"

namespace pgrid::token {

/// The tokens in `bytes`. What is no item is one part with all that follows, so that nothing is lost: reading
/// it fails.
[[nodiscard]] std::vector<Bytes> split(Bytes bytes);

/// One line of text: multibase "u", base64url.
[[nodiscard]] std::string bundle_text(Bytes bytes);
/// What a file or an argument holds: such a line, base64 without a letter in front (as the public fixtures
/// have it), or the bytes themselves.
[[nodiscard]] std::string bundle_bytes(std::string_view content);

}  // namespace pgrid::token
