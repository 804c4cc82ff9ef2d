#include "control/token/reason.hpp"

#include <array>

namespace pgrid::token {
namespace {

struct Words {
  std::string_view name;
  std::string_view sentence;
};

constexpr std::array<Words, kReasons> kWords = {{
    {"valid", "it is valid"},
    {"expired", "a token of the chain is past its exp; ask its issuer for a new one"},
    {"not_yet_valid", "a token of the chain is not valid before its nbf"},
    {"skew", "it says that it was made more than 60 s from now; set the clock of whoever made it"},
    {"bad_signature", "a signature is not the issuer's; the token was changed or forged"},
    {"audience_mismatch",
     "a token was made for somebody else than who uses it, or the invocation for another node"},
    {"issuer_mismatch", "the chain does not begin with the subject itself"},
    {"subject_mismatch", "a token of the chain is about another subject"},
    {"command_not_attenuated", "a token allows more commands than the one before it"},
    {"policy_violated", "the arguments are not what a policy of the chain allows"},
    {"non_canonical", "it is not canonical DAG-CBOR; whoever made it must encode it again"},
    {"chain_too_long", "the chain has more than 8 delegations"},
    {"missing_proof", "the invocation names a proof that did not come with it"},
    {"revoked", "a token of the chain was revoked, or the right behind it is gone"},
    {"malformed", "it is not a UCAN 1.0.0 token"},
    {"no_expiry", "a token of the chain never expires; give it an exp of at most 24 h"},
    {"powerline", "a token of the chain names no subject"},
    {"unsupported_key", "only did:key with Ed25519 is known here"},
    {"policy_too_deep", "a policy is nested deeper than 8 statements"},
    {"token_too_large", "a token is longer than 4,096 bytes"},
    {"float", "it holds a floating-point number; only whole numbers are taken here"},
    {"lifetime_too_long", "a token of the chain expires later than 24 h from now; give it a nearer exp"},
    {"replayed", "this invocation was used before; make a new one"},
}};

}  // namespace

std::string_view name_of(Reason reason) { return kWords[static_cast<unsigned>(reason)].name; }
std::string_view sentence_of(Reason reason) { return kWords[static_cast<unsigned>(reason)].sentence; }

}  // namespace pgrid::token
