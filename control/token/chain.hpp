// Whether an invocation and its proofs allow what they ask for: UCAN 1.0.0's rules and, for the profile
// `node`, ours (docs/TOKENS.md). Pure: no clock, no file, no state but what is given.
#pragma once

#include <vector>

#include "control/token/revocations.hpp"
#include "control/token/token.hpp"

namespace pgrid::token {

inline constexpr std::int64_t kSkewMaxS = 60;
inline constexpr std::int64_t kLifetimeMaxS = 24 * 60 * 60;

struct Conditions {
  std::int64_t at = 0;                          // Unix seconds
  std::span<const std::string_view> audiences;  // who carries invocations out: any one of them
  Profile profile = Profile::node;
  const Revocations* revocations = nullptr;
};

/// The tokens of a chain that was found valid, or as far as it was read. Points into the bytes that were
/// given.
struct Chain {
  Token invocation;
  std::vector<Token> delegations;  // root first, as the invocation's prf names them
};

/// `proofs` may come in any order and hold more than is needed, but nothing that is not a delegation. The
/// first that applies, in this order:
///   each token by itself (token.hpp), the invocation first, then the proofs as given; chain_too_long;
///   missing_proof; bad_signature; revoked; lifetime_too_long; expired; not_yet_valid; skew;
///   audience_mismatch of the invocation; powerline of the root; subject_mismatch; issuer_mismatch;
///   audience_mismatch within; command_not_attenuated; policy_violated.
[[nodiscard]] Reason verify(Bytes invocation, std::span<const Bytes> proofs, const Conditions& conditions,
                            Chain& chain);

}  // namespace pgrid::token
