#include "tools/pgrid/tokens/held_token.hpp"

#include <algorithm>

#include "control/identity/key_file.hpp"
#include "control/token/bundle.hpp"
#include "tools/pgrid/tokens/token_input.hpp"

namespace pgrid::tools {

using token::Reason;

Result<std::unique_ptr<HeldToken>> HeldToken::read(const std::string& argument) {
  Result<std::string> bytes = read_tokens(argument);
  if (!bytes) return std::unexpected(bytes.error());
  auto held = std::make_unique<HeldToken>();
  held->bytes_ = std::move(*bytes);
  const auto wrong = [&](Reason reason) {
    return fail(Errc::invalid_argument, std::string(token::name_of(reason)), std::string(token::sentence_of(reason)),
                "give a token as `pgrid cap grant` or `pgrid cap attenuate` made it");
  };
  for (const token::Bytes part : token::split(bytes_of(held->bytes_))) {
    token::Token one;
    if (const Reason reason = token::read(part, false, token::Profile::node, one); reason != Reason::valid) return wrong(reason);
    if (!token::is_signed(one)) return wrong(Reason::bad_signature);
    if (!held->chain_.empty() && held->last().audience != one.issuer) return wrong(Reason::audience_mismatch);
    held->chain_.push_back(one);
  }
  if (held->chain_.empty()) return wrong(Reason::malformed);
  if (held->chain_.front().issuer != held->chain_.front().subject) return wrong(Reason::issuer_mismatch);
  return held;
}

token::Terms HeldToken::terms() const {
  token::Terms terms;
  for (const token::Token& one : chain_) token::narrow(terms, one.policy);
  return terms;
}

std::int64_t HeldToken::expires() const {
  std::int64_t expires = *last().expires;
  for (const token::Token& one : chain_) expires = std::min(expires, *one.expires);
  return expires;
}

Result<identity::SigningKey> HeldToken::key(const std::string& path) const {
  const Result<identity::Seed> seed = identity::read_key_file(path);
  if (!seed) return std::unexpected(seed.error());
  identity::SigningKey key(*seed);
  if (key.did() != last().audience)
    return fail(Errc::not_permitted, "the token", "is made out to " + std::string(last().audience) + ", not to " + key.did(),
                "give the key of that DID, or a token that is made out to this one");
  return key;
}

}  // namespace pgrid::tools
