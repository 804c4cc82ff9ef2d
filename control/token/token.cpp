#include "control/token/token.hpp"

#include <sodium.h>

#include <algorithm>

#include "control/token/policy.hpp"

namespace pgrid::token {
namespace {

constexpr std::int64_t kTimeMax =
    (std::int64_t{1} << 53) - 1;  // UCAN, "Time Bounds": what a double holds exactly

enum Field : unsigned {
  kIss = 1u << 0,
  kAud = 1u << 1,
  kSub = 1u << 2,
  kCmd = 1u << 3,
  kPol = 1u << 4,
  kArgs = 1u << 5,
  kPrf = 1u << 6,
  kNonce = 1u << 7,
  kMeta = 1u << 8,
  kNbf = 1u << 9,
  kExp = 1u << 10,
  kIat = 1u << 11,
  kCause = 1u << 12,
};
constexpr unsigned kOfDelegation = kIss | kAud | kSub | kCmd | kPol | kNonce | kMeta | kNbf | kExp;
constexpr unsigned kNeededByDelegation = kOfDelegation & ~(kMeta | kNbf);
constexpr unsigned kOfInvocation =
    kIss | kAud | kSub | kCmd | kArgs | kPrf | kNonce | kMeta | kExp | kIat | kCause;
constexpr unsigned kNeededByInvocation = kOfInvocation & ~(kAud | kMeta | kIat | kCause);

struct FieldName {
  std::string_view name;
  Field field;
};
constexpr FieldName kFields[] = {{"iss", kIss},     {"aud", kAud},   {"sub", kSub}, {"cmd", kCmd},
                                 {"pol", kPol},     {"args", kArgs}, {"prf", kPrf}, {"exp", kExp},
                                 {"nonce", kNonce}, {"meta", kMeta}, {"nbf", kNbf}, {"iat", kIat},
                                 {"cause", kCause}};

unsigned field_named(std::string_view name) {
  for (const FieldName& one : kFields)
    if (one.name == name) return one.field;
  return 0;
}

bool take_text(Cursor& in, std::string_view& text) {
  const Item item = in.next();
  text = item.text();
  return item.kind == Kind::text && !text.empty();
}

bool take_time(Cursor& in, std::optional<std::int64_t>& time) {
  const Item item = in.next();
  if ((item.kind != Kind::uint && item.kind != Kind::nint) ||
      item.value > static_cast<std::uint64_t>(kTimeMax))
    return false;
  const auto value = static_cast<std::int64_t>(item.value);
  time = item.kind == Kind::uint ? value : -1 - value;
  return *time >= -kTimeMax;
}

bool take_kind(Cursor& in, Kind kind, Bytes& item) {
  item = in.take();
  return first_of(item).kind == kind;
}

bool take_proofs(Cursor& in, Token& token) {
  token.proofs = in.take();
  Cursor list(token.proofs);
  const Item head = list.next();
  token.nb_proofs = head.value;
  for (std::uint64_t i = 0; head.kind == Kind::array && i < head.value; ++i)
    if (list.next().kind != Kind::link) return false;
  return head.kind == Kind::array;
}

/// One field's value. False: it is not of the type that it must have.
bool take_value(Cursor& in, unsigned field, Token& token) {
  const bool is_null = first_of(in.rest()).kind == Kind::null;
  switch (field) {
    case kIss:
      return take_text(in, token.issuer);
    case kAud:
      return take_text(in, token.audience);
    case kSub:
      if (!is_null) return take_text(in, token.subject);
      in.take();
      return !token.is_invocation;
    case kCmd:
      return take_text(in, token.command);
    case kPol:
      return take_kind(in, Kind::array, token.policy);
    case kArgs:
      return take_kind(in, Kind::map, token.arguments);
    case kPrf:
      return take_proofs(in, token);
    case kNonce:
      return in.next().kind == Kind::bytes;
    case kMeta:
      return take_kind(in, Kind::map, token.meta);
    case kNbf:
      return take_time(in, token.not_before);
    case kIat:
      return take_time(in, token.issued_at);
    case kCause:
      return in.next().kind == Kind::link;
    case kExp:
      if (!is_null) return take_time(in, token.expires);
      in.take();
      return true;
    default:
      in.take();
      return true;  // unknown
  }
}

bool read_fields(Cursor& in, bool is_strict, Token& token) {
  const Item map = in.next();
  if (map.kind != Kind::map) return false;
  const unsigned allowed = token.is_invocation ? kOfInvocation : kOfDelegation;
  const unsigned needed = token.is_invocation ? kNeededByInvocation : kNeededByDelegation;
  unsigned seen = 0;
  for (std::uint64_t i = 0; i < map.value; ++i) {
    const unsigned field = field_named(in.next().text()) & allowed;
    // What is not understood might be a restriction.
    if (field == 0 && is_strict) return false;
    if (!take_value(in, field, token)) return false;
    seen |= field;
  }
  return (seen & needed) == needed;
}

/// "/" or "/a/b": lower case, no empty segment.
bool is_command(std::string_view command) {
  if (!command.starts_with('/')) return false;
  if (command.size() == 1) return true;
  return !command.ends_with('/') && command.find("//") == std::string_view::npos &&
         std::ranges::none_of(command, [](char c) { return c >= 'A' && c <= 'Z'; });
}

/// Takes the fragment off.
bool take_did(std::string_view& did) {
  did = identity::without_fragment(did);
  return did.size() > 4 && did.starts_with("did:");
}

/// A nesting that `check` gave up on is a policy's if it begins within one: whether "pol" is the field it
/// lies in.
bool lies_in_policy(Bytes bytes, std::size_t at) {
  Cursor in(bytes);
  if (in.next().kind != Kind::array) return false;
  in.take();
  if (in.next().kind != Kind::map) return false;
  in.take();
  in.take();  // "h"
  in.take();
  const Item fields = in.next();
  for (std::uint64_t i = 0; fields.kind == Kind::map && i < fields.value && !in.at_end(); ++i) {
    const Item key = in.next();
    in.take();
    if (bytes.size() - in.rest().size() > at) return key.kind == Kind::text && key.text() == "pol";
  }
  return false;
}

Reason read_shape(const Limits& limits, Token& token, bool& is_known_header) {
  Cursor in(token.bytes);
  const Item envelope = in.next();
  if (envelope.kind != Kind::array || envelope.value != 2) return Reason::malformed;
  const Item signature = in.next();
  if (signature.kind != Kind::bytes) return Reason::malformed;
  token.signature = signature.content;
  token.signed_payload = in.rest();
  const Item payload = in.next();
  if (payload.kind != Kind::map || payload.value != 2 || in.next().text() != "h") return Reason::malformed;
  const Item header = in.next();
  if (header.kind != Kind::bytes) return Reason::malformed;
  is_known_header = std::ranges::equal(header.content, kVarsigEd25519);
  if (in.next().text() != (token.is_invocation ? kInvocationTag : kDelegationTag)) return Reason::malformed;
  if (!read_fields(in, limits.is_strict, token)) return Reason::malformed;
  if (!take_did(token.issuer)) return Reason::malformed;
  if (!token.audience.empty() && !take_did(token.audience)) return Reason::malformed;
  if (!token.subject.empty() && !take_did(token.subject)) return Reason::malformed;
  return is_command(token.command) ? Reason::valid : Reason::malformed;
}

}  // namespace

Reason read(Bytes bytes, bool is_invocation, Profile profile, Token& token) {
  const Limits& limits = limits_of(profile);
  if (bytes.size() > limits.token_max) return Reason::token_too_large;
  if (const Check checked = check(bytes, !limits.is_strict); checked.reason != Reason::valid)
    return checked.is_too_deep && lies_in_policy(bytes, checked.at) ? Reason::policy_too_deep
                                                                    : checked.reason;
  token = Token{.is_invocation = is_invocation, .bytes = bytes};
  bool is_known_header = false;
  if (const Reason reason = read_shape(limits, token, is_known_header); reason != Reason::valid)
    return reason;
  if (!is_invocation)
    if (const Reason reason = check_policy(token.policy, limits.policy_depth_max); reason != Reason::valid)
      return reason;
  const auto key = identity::key_of(token.issuer);
  if (!is_known_header || !key) return Reason::unsupported_key;
  token.key = *key;
  if (limits.is_strict) {
    for (const std::string_view did : {token.audience, token.subject})
      if (!did.empty() && did != token.issuer && !identity::key_of(did)) return Reason::unsupported_key;
    if (token.subject.empty()) return Reason::powerline;
    if (!token.expires) return Reason::no_expiry;
  }
  token.digest = digest_of(bytes);
  return Reason::valid;
}

bool is_signed(const Token& token) {
  return token.signature.size() == crypto_sign_BYTES &&
         crypto_sign_verify_detached(token.signature.data(), token.signed_payload.data(),
                                     token.signed_payload.size(), token.key.data()) == 0;
}

bool covers(std::string_view command, std::string_view other) {
  if (command == "/" || command == other) return true;
  return other.size() > command.size() && other.starts_with(command) && other[command.size()] == '/';
}

}  // namespace pgrid::token
