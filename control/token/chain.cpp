#include "control/token/chain.hpp"

#include <algorithm>

#include "control/token/policy.hpp"

namespace pgrid::token {
namespace {

constexpr std::size_t kGivenMax = 64;  // proofs, needed or not

/// Reads everything that was given and puts the delegations in the order that the invocation names.
Reason collect(Bytes invocation, std::span<const Bytes> proofs, Profile profile, Chain& chain) {
  if (const Reason reason = read(invocation, true, profile, chain.invocation); reason != Reason::valid)
    return reason;
  if (proofs.size() > kGivenMax) return Reason::chain_too_long;
  std::vector<Token> given(proofs.size());
  for (std::size_t i = 0; i < proofs.size(); ++i)
    if (const Reason reason = read(proofs[i], false, profile, given[i]); reason != Reason::valid)
      return reason;
  if (chain.invocation.nb_proofs > limits_of(profile).chain_max) return Reason::chain_too_long;
  chain.delegations.clear();
  chain.delegations.reserve(chain.invocation.nb_proofs);
  Cursor in(chain.invocation.proofs);
  for (std::uint64_t left = in.next().value; left != 0; --left) {
    const std::optional<Digest> digest = token_digest(in.next().content);
    const auto found =
        std::ranges::find_if(given, [&](const Token& one) { return digest && one.digest == *digest; });
    if (found == given.end()) return Reason::missing_proof;
    chain.delegations.push_back(*found);
  }
  return Reason::valid;
}

template <typename Test>
bool any_token(const Chain& chain, Test test) {
  return std::ranges::any_of(chain.delegations, test) || test(chain.invocation);
}

Reason check_times(const Chain& chain, const Conditions& conditions) {
  const std::int64_t at = conditions.at;
  const bool is_strict = limits_of(conditions.profile).is_strict;
  // Times are at most 2^53 and the difference fits; `at` is the caller's own.
  if (is_strict &&
      any_token(chain, [&](const Token& t) { return t.expires && *t.expires > at + kLifetimeMaxS; }))
    return Reason::lifetime_too_long;
  if (any_token(chain, [&](const Token& t) { return t.expires && at > *t.expires; })) return Reason::expired;
  if (any_token(chain, [&](const Token& t) { return t.not_before && at < *t.not_before; }))
    return Reason::not_yet_valid;
  if (is_strict && chain.invocation.issued_at && *chain.invocation.issued_at > at + kSkewMaxS)
    return Reason::skew;
  return Reason::valid;
}

Reason check_principals(const Chain& chain, const Conditions& conditions) {
  const Token& invocation = chain.invocation;
  const std::vector<Token>& delegations = chain.delegations;
  const std::string_view executor = invocation.audience.empty() ? invocation.subject : invocation.audience;
  if (std::ranges::find(conditions.audiences, executor) == conditions.audiences.end())
    return Reason::audience_mismatch;
  if (!delegations.empty() && delegations.front().subject.empty()) return Reason::powerline;
  for (const Token& one : delegations)
    if (!one.subject.empty() && one.subject != invocation.subject) return Reason::subject_mismatch;
  const Token& root = delegations.empty() ? invocation : delegations.front();
  if (root.issuer != invocation.subject) return Reason::issuer_mismatch;
  for (std::size_t i = 0; i < delegations.size(); ++i) {
    const Token& next = i + 1 < delegations.size() ? delegations[i + 1] : invocation;
    if (delegations[i].audience != next.issuer) return Reason::audience_mismatch;
  }
  return Reason::valid;
}

Reason check_authority(const Chain& chain) {
  for (std::size_t i = 0; i < chain.delegations.size(); ++i) {
    const Token& next = i + 1 < chain.delegations.size() ? chain.delegations[i + 1] : chain.invocation;
    if (!covers(chain.delegations[i].command, next.command)) return Reason::command_not_attenuated;
  }
  for (const Token& one : chain.delegations)
    if (!satisfies(one.policy, chain.invocation.arguments)) return Reason::policy_violated;
  return Reason::valid;
}

}  // namespace

Reason verify(Bytes invocation, std::span<const Bytes> proofs, const Conditions& conditions, Chain& chain) {
  if (const Reason reason = collect(invocation, proofs, conditions.profile, chain); reason != Reason::valid)
    return reason;
  if (any_token(chain, [](const Token& one) { return !is_signed(one); })) return Reason::bad_signature;
  if (const Revocations* revoked = conditions.revocations)
    if (any_token(chain, [&](const Token& one) {
          return revoked->holds(one.digest) || revoked->holds(digest_of(one.signed_payload));
        }))
      return Reason::revoked;
  if (const Reason reason = check_times(chain, conditions); reason != Reason::valid) return reason;
  if (const Reason reason = check_principals(chain, conditions); reason != Reason::valid) return reason;
  return check_authority(chain);
}

}  // namespace pgrid::token
