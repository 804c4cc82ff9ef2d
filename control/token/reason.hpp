// Why a token is refused: one word each, the same in the API, the command line and the log (docs/TOKENS.md).
#pragma once

#include <cstdint>
#include <string_view>

namespace pgrid::token {

enum class Reason : std::uint8_t {
  valid,
  expired,
  not_yet_valid,
  skew,  // issued later than now, by more than clocks may differ
  bad_signature,
  audience_mismatch,
  issuer_mismatch,
  subject_mismatch,
  command_not_attenuated,
  policy_violated,
  non_canonical,
  chain_too_long,
  missing_proof,
  revoked,
  malformed,
  no_expiry,
  powerline,
  unsupported_key,
  policy_too_deep,
  token_too_large,
  floating,  // "float"
  lifetime_too_long,
  replayed,  // only where an invocation is carried out: it was before
};
inline constexpr unsigned kReasons = 23;

[[nodiscard]] std::string_view name_of(Reason reason);

/// What to do about it, for the person who sent the token.
[[nodiscard]] std::string_view sentence_of(Reason reason);

}  // namespace pgrid::token
