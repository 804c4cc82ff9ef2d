// The model's rules for a token and for a chain, in the order of docs/TOKENS.md.
#include <sodium.h>

#include <algorithm>
#include <map>
#include <optional>

#include "tests/control/token/model.hpp"
#include "tests/control/token/model_policy.hpp"

namespace pgrid::model {
namespace {

using Type = Value::Type;

const std::string kHeader("\x34\x01\xed\x01\xed\x01\x13\x71", 8);
const std::string kBase58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

struct Read {
  std::string bytes, signature, payload, key;
  std::string issuer, audience, command;
  std::optional<std::string> subject;
  std::optional<std::int64_t> expires, not_before, issued;
  Value policy, args, proofs;
};

void require(bool good, const char* word) {
  if (!good) throw Refused(word);
}

/// The public key of a did:key, or nothing.
std::optional<std::string> key_in(const std::string& did) {
  if (did.compare(0, 9, "did:key:z") != 0) return std::nullopt;
  std::string number;  // big-endian, base 256
  for (const char c : did.substr(9)) {
    const std::size_t digit = kBase58.find(c);
    if (digit == std::string::npos) return std::nullopt;
    int carry = static_cast<int>(digit);
    for (std::size_t i = number.size(); i-- > 0;) {
      carry += static_cast<unsigned char>(number[i]) * 58;
      number[i] = static_cast<char>(carry % 256);
      carry /= 256;
    }
    while (carry != 0) number.insert(number.begin(), static_cast<char>(carry % 256)), carry /= 256;
  }
  if (did[9] == '1' || number.size() != 34 || number.compare(0, 2, "\xed\x01") != 0) return std::nullopt;
  return number.substr(2);
}

std::string bare(const std::string& did) { return did.substr(0, did.find('#')); }

bool is_command(const std::string& c) {
  if (c == "/") return true;
  if (c.empty() || c[0] != '/' || c.back() == '/') return false;
  for (std::size_t i = 0; i < c.size(); ++i)
    if ((c[i] >= 'A' && c[i] <= 'Z') || (c[i] == '/' && c[i + 1] == '/')) return false;
  return true;
}

std::int64_t time_in(const Value& v) {
  require(v.type == Type::whole || v.type == Type::negative, "malformed");
  const std::uint64_t limit = (1ull << 53) - 1;
  require(v.type == Type::whole ? v.number <= limit : v.number < limit, "malformed");
  const auto n = static_cast<std::int64_t>(v.number);
  return v.type == Type::whole ? n : -n - 1;
}

std::string text_in(const Value& v) {
  require(v.type == Type::text && !v.string.empty(), "malformed");
  return v.string;
}

Read read(const std::string& bytes, bool is_invocation, bool is_lenient) {
  require(bytes.size() <= (is_lenient ? 1048576u : 4096u), "token_too_large");
  const Value tree = decode(bytes, is_lenient);
  Read r;
  r.bytes = bytes;
  require(tree.type == Type::list && tree.list.size() == 2 && tree.list[0].type == Type::bytes, "malformed");
  r.signature = tree.list[0].string;
  const Value& signed_part = tree.list[1];
  r.payload = encode(signed_part);  // canonical, or decode had refused it
  require(signed_part.type == Type::map && signed_part.map.size() == 2 && signed_part.map[0].first == "h" &&
              signed_part.map[0].second.type == Type::bytes &&
              signed_part.map[1].first == (is_invocation ? "ucan/inv@1.0.0" : "ucan/dlg@1.0.0") &&
              signed_part.map[1].second.type == Type::map,
          "malformed");
  std::map<std::string, Value> fields;
  const std::vector<std::string> needed =
      is_invocation ? std::vector<std::string>{"iss", "sub", "cmd", "args", "prf", "nonce", "exp"}
                    : std::vector<std::string>{"iss", "aud", "sub", "cmd", "pol", "nonce", "exp"};
  std::vector<std::string> known = needed;
  for (const char* more : {"aud", "iat", "cause", "meta", "nbf"})
    if (is_invocation ? std::string(more) != "nbf"
                      : std::string(more) == "nbf" || std::string(more) == "meta")
      known.push_back(more);
  for (const auto& [key, value] : signed_part.map[1].second.map) {
    if (std::ranges::find(known, key) != known.end())
      fields[key] = value;
    else
      require(is_lenient, "malformed");
  }
  for (const std::string& key : needed) require(fields.contains(key), "malformed");
  r.issuer = text_in(fields["iss"]);
  r.command = text_in(fields["cmd"]);
  if (fields.contains("aud")) r.audience = text_in(fields["aud"]);
  if (is_invocation || fields["sub"].type != Type::null) r.subject = text_in(fields["sub"]);
  if (fields["exp"].type != Type::null) r.expires = time_in(fields["exp"]);
  if (fields.contains("nbf")) r.not_before = time_in(fields["nbf"]);
  if (fields.contains("iat")) r.issued = time_in(fields["iat"]);
  require(fields["nonce"].type == Type::bytes, "malformed");
  if (fields.contains("meta")) require(fields["meta"].type == Type::map, "malformed");
  if (fields.contains("cause")) require(fields["cause"].type == Type::link, "malformed");
  if (is_invocation) {
    r.args = fields["args"];
    r.proofs = fields["prf"];
    require(r.args.type == Type::map && r.proofs.type == Type::list, "malformed");
    for (const Value& proof : r.proofs.list) require(proof.type == Type::link, "malformed");
  } else {
    r.policy = fields["pol"];
    require(r.policy.type == Type::list, "malformed");
  }
  const auto did = [](std::string& text) {
    text = bare(text);
    require(text.size() > 4 && text.compare(0, 4, "did:") == 0, "malformed");
  };
  did(r.issuer);
  if (fields.contains("aud")) did(r.audience);
  if (r.subject) did(*r.subject);
  require(is_command(r.command), "malformed");
  if (!is_invocation) check_policy(r.policy, is_lenient ? 64 : 8);
  const auto key = key_in(r.issuer);
  require(signed_part.map[0].second.string == kHeader && key.has_value(), "unsupported_key");
  r.key = *key;
  if (!is_lenient) {
    if (fields.contains("aud")) require(key_in(r.audience).has_value(), "unsupported_key");
    if (r.subject) require(key_in(*r.subject).has_value(), "unsupported_key");
    require(r.subject.has_value(), "powerline");
    require(r.expires.has_value(), "no_expiry");
  }
  return r;
}

bool signature_is_good(const Read& r) {
  const auto raw = [](const std::string& s) { return reinterpret_cast<const unsigned char*>(s.data()); };
  return r.signature.size() == 64 &&
         crypto_sign_verify_detached(raw(r.signature), raw(r.payload), r.payload.size(), raw(r.key)) == 0;
}

std::vector<std::string> segments(const std::string& command) {
  std::vector<std::string> parts;
  for (std::size_t i = 1; i < command.size();) {
    const std::size_t end = std::min(command.find('/', i), command.size());
    parts.push_back(command.substr(i, end - i));
    i = end + 1;
  }
  return parts;
}

bool is_below(const std::string& wide, const std::string& narrow) {
  const auto a = segments(wide);
  const auto b = segments(narrow);
  return a.size() <= b.size() && std::equal(a.begin(), a.end(), b.begin());
}

void judge(const Question& q) {
  const Read invocation = read(q.invocation, true, q.is_lenient);
  require(q.proofs.size() <= 64, "chain_too_long");
  std::map<std::string, Read> by_cid;
  for (const std::string& proof : q.proofs) by_cid[cid_of(proof)] = read(proof, false, q.is_lenient);
  require(invocation.proofs.list.size() <= (q.is_lenient ? 64u : 8u), "chain_too_long");
  std::vector<Read> chain;
  for (const Value& proof : invocation.proofs.list) {
    require(by_cid.contains(proof.string), "missing_proof");
    chain.push_back(by_cid[proof.string]);
  }
  chain.push_back(invocation);
  const auto each = [&](auto good, const char* word) {
    for (const Read& one : chain) require(good(one), word);
  };
  each(signature_is_good, "bad_signature");
  each(
      [&](const Read& r) {
        return !q.revoked.contains(sha256(r.bytes)) && !q.revoked.contains(sha256(r.payload));
      },
      "revoked");
  if (!q.is_lenient) each([&](const Read& r) { return *r.expires - q.at <= 86400; }, "lifetime_too_long");
  each([&](const Read& r) { return !r.expires || q.at <= *r.expires; }, "expired");
  each([&](const Read& r) { return !r.not_before || q.at >= *r.not_before; }, "not_yet_valid");
  if (!q.is_lenient && invocation.issued) require(*invocation.issued - q.at <= 60, "skew");
  require((invocation.audience.empty() ? *invocation.subject : invocation.audience) == q.audience,
          "audience_mismatch");
  const Read& root = chain.front();
  require(root.subject.has_value(), "powerline");
  each([&](const Read& r) { return !r.subject || *r.subject == *invocation.subject; }, "subject_mismatch");
  require(root.issuer == *invocation.subject, "issuer_mismatch");
  for (std::size_t i = 1; i < chain.size(); ++i)
    require(chain[i - 1].audience == chain[i].issuer, "audience_mismatch");
  for (std::size_t i = 1; i < chain.size(); ++i)
    require(is_below(chain[i - 1].command, chain[i].command), "command_not_attenuated");
  for (std::size_t i = 0; i + 1 < chain.size(); ++i)
    require(policy_holds(chain[i].policy, invocation.args), "policy_violated");
}

}  // namespace

std::string sha256(const std::string& bytes) {
  std::string hash(32, '\0');
  crypto_hash_sha256(reinterpret_cast<unsigned char*>(hash.data()),
                     reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  return hash;
}

std::string cid_of(const std::string& token) { return "\x01\x71\x12\x20" + sha256(token); }

std::string did_of(const std::string& public_key) {
  std::string number = "\xed\x01" + public_key;
  std::string text;
  while (std::ranges::any_of(number, [](char c) { return c != 0; })) {
    int rest = 0;
    for (char& c : number) {
      rest = rest * 256 + static_cast<unsigned char>(c);
      c = static_cast<char>(rest / 58);
      rest %= 58;
    }
    text.insert(text.begin(), kBase58[static_cast<std::size_t>(rest)]);
  }
  return "did:key:z" + text;
}

std::string verdict(const Question& question) {
  try {
    judge(question);
    return "valid";
  } catch (const Refused& refused) {
    return refused.what();
  }
}

}  // namespace pgrid::model
