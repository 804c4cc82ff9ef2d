// One token as received: a delegation or an invocation of UCAN 1.0.0, read in place. Every view points into
// the bytes that it was read from.
#pragma once

#include <array>
#include <optional>

#include "control/identity/did_key.hpp"
#include "control/token/cid.hpp"
#include "control/token/dag_cbor.hpp"

namespace pgrid::token {

inline constexpr std::string_view kDelegationTag = "ucan/dlg@1.0.0";
inline constexpr std::string_view kInvocationTag = "ucan/inv@1.0.0";
/// Varsig v1 header: varsig 0x34, version 1, EdDSA (0xed as a varint), Edwards25519 (the same), SHA2-512
/// (0x13), DAG-CBOR (0x71).
inline constexpr std::array<std::uint8_t, 8> kVarsigEd25519 = {0x34, 0x01, 0xed, 0x01,
                                                               0xed, 0x01, 0x13, 0x71};

/// What is accepted: what this node redeems, or what the specification allows (with bounds that no honest
/// token meets, so that neither time nor stack is a stranger's to choose).
enum class Profile : std::uint8_t { node, spec };

struct Limits {
  std::size_t token_max = 4096;  // bytes
  unsigned chain_max = 8;        // delegations
  unsigned policy_depth_max = 8;
  bool is_strict =
      true;  // no floats, no null subject, finite exp at most 24 h away, no unknown fields, Ed25519 only
};
inline constexpr Limits kNodeLimits{};
inline constexpr Limits kSpecLimits{
    .token_max = 1u << 20, .chain_max = 64, .policy_depth_max = 64, .is_strict = false};
[[nodiscard]] inline const Limits& limits_of(Profile profile) {
  return profile == Profile::node ? kNodeLimits : kSpecLimits;
}

struct Token {
  bool is_invocation = false;
  Bytes bytes;      // all of it
  Bytes signature;  // 64 bytes, or it is none
  Bytes signed_payload;
  Digest digest{};  // of `bytes`: its CID

  std::string_view issuer, audience,
      subject;  // without fragments; audience empty: not given; subject empty: null
  std::string_view command;
  Bytes policy;     // delegation
  Bytes arguments;  // invocation
  Bytes proofs;     // invocation: array of links
  std::uint64_t nb_proofs = 0;
  Bytes meta;                                                  // empty: none
  std::optional<std::int64_t> expires, not_before, issued_at;  // Unix seconds; expires: nothing is never
  identity::PublicKey key{};                                   // the issuer's
};

/// Reads and checks everything that one token says by itself, but its signature and its times. On failure
/// `token` is unspecified. In this order, the first fault from the left within each:
///   token_too_large; the bytes (malformed, non_canonical, float); the fields (malformed), then DIDs and
///   command (malformed), then the policy (malformed, policy_too_deep); unsupported_key; powerline and
///   no_expiry.
[[nodiscard]] Reason read(Bytes bytes, bool is_invocation, Profile profile, Token& token);

/// Whether the signature is the issuer's. Ed25519, over `signed_payload` as received.
[[nodiscard]] bool is_signed(const Token& token);

/// Whether a command covers another: the same, or a path below it.
[[nodiscard]] bool covers(std::string_view command, std::string_view other);

}  // namespace pgrid::token
