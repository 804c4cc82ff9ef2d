// A second opinion on tokens, written from the specifications and docs/TOKENS.md alone: it shares no code
// with control/token, builds trees, copies freely, throws, and is slow. Sources: RFC 8949, DAG-CBOR,
// UCAN 1.0.0 (spec, delegation, invocation), did:key, multiformats.
#pragma once

#include <cstdint>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace pgrid::model {

struct Pair;  // key and value

struct Value {
  enum class Type { whole, negative, bytes, text, list, map, link, yes_no, null, real, raw };
  Type type = Type::null;
  std::uint64_t number = 0;  // whole; negative: -1 - number; yes_no: 0 or 1
  std::string string;        // bytes, text, link (binary CID), raw (encoded already)
  double real = 0;
  std::vector<Value> list;
  std::vector<Pair> map;

  static Value whole_of(std::uint64_t n);
  static Value negative_of(std::uint64_t n);
  static Value integer_of(std::int64_t n);
  static Value bytes_of(std::string s);
  static Value text_of(std::string s);
  static Value link_of(std::string cid);
  static Value yes_no_of(bool b);
  static Value real_of(double d);
  static Value list_of(std::vector<Value> l);
  static Value map_of(std::vector<Pair> m);
  static Value raw_of(std::string s);
  static Value null();
};

struct Pair {
  std::string first;
  Value second;
};

/// Why something is refused: the word.
struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::string encode(const Value& value);                   // keys sorted, as DAG-CBOR has them
Value decode(const std::string& bytes, bool is_lenient);  // throws Refused; lenient: floats are taken

std::string sha256(const std::string& bytes);
std::string cid_of(const std::string& token);  // binary
std::string did_of(const std::string& public_key);

struct Question {
  std::string invocation;
  std::vector<std::string> proofs;
  std::int64_t at = 0;
  std::string audience;
  bool is_lenient = false;        // profile "spec"
  std::set<std::string> revoked;  // SHA-256, of tokens or payloads
};
/// "valid" or the word.
std::string verdict(const Question& question);

/// Whether a policy holds. Throws Refused when it is none.
bool policy_holds(const Value& policy, const Value& args);

}  // namespace pgrid::model
