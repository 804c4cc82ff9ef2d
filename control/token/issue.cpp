#include "control/token/issue.hpp"

#include <sodium.h>

#include "control/token/writer.hpp"

namespace pgrid::token {
namespace {

constexpr std::uint8_t kEmptyArray = 0x80;
constexpr std::uint8_t kEmptyMap = 0xa0;

Bytes or_else(Bytes item, const std::uint8_t& otherwise) {
  return item.empty() ? Bytes(&otherwise, 1) : item;
}

void write_expiry(Writer& out, const std::optional<std::int64_t>& expires) {
  out.text("exp");
  if (expires)
    out.integer(*expires);
  else
    out.null();
}

/// What is signed: the header and the fields; then both with the signature before them.
std::vector<std::uint8_t> seal(const identity::SigningKey& key, std::string_view tag, Bytes fields) {
  Writer payload;
  payload.map(2).text("h").bytes(kVarsigEd25519).text(tag).raw(fields);
  Writer token;
  token.array(2).bytes(key.sign(payload.view())).raw(payload.view());
  return std::move(token).take();
}

}  // namespace

Nonce random_nonce() {
  Nonce nonce;
  randombytes_buf(nonce.data(), nonce.size());
  return nonce;
}

std::vector<std::uint8_t> sign(const identity::SigningKey& key, const Delegation& d) {
  Writer out;
  out.map(7 + (d.not_before ? 1 : 0) + (d.meta.empty() ? 0 : 1));
  out.text("aud").text(d.audience).text("cmd").text(d.command);
  write_expiry(out, d.expires);
  out.text("iss").text(key.did());
  if (d.not_before) out.text("nbf").integer(*d.not_before);
  out.text("pol").raw(or_else(d.policy, kEmptyArray)).text("sub");
  if (d.subject.empty())
    out.null();
  else
    out.text(d.subject);
  if (!d.meta.empty()) out.text("meta").raw(d.meta);
  out.text("nonce").bytes(d.nonce);
  return seal(key, kDelegationTag, out.view());
}

std::vector<std::uint8_t> sign(const identity::SigningKey& key, const Invocation& i) {
  Writer out;
  out.map(7 + (i.audience.empty() ? 0 : 1) + (i.issued_at ? 1 : 0));
  if (!i.audience.empty()) out.text("aud").text(i.audience);
  out.text("cmd").text(i.command);
  write_expiry(out, i.expires);
  if (i.issued_at) out.text("iat").integer(*i.issued_at);
  out.text("iss").text(key.did()).text("prf").array(i.proofs.size());
  for (const Digest& proof : i.proofs) out.link(proof);
  out.text("sub")
      .text(i.subject)
      .text("args")
      .raw(or_else(i.arguments, kEmptyMap))
      .text("nonce")
      .bytes(i.nonce);
  return seal(key, kInvocationTag, out.view());
}

}  // namespace pgrid::token
