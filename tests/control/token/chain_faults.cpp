// What can be wrong with a chain: its bytes, its fields, what they say.
#include <algorithm>

#include "tests/control/token/chain_generator.hpp"

namespace pgrid::model {
namespace {

using Type = Value::Type;

Value text(const std::string& s) { return Value::text_of(s); }

}  // namespace

/// An item that is CBOR, or nearly, but not DAG-CBOR.
Value ChainGenerator::odd_encoding() {
  using namespace std::string_literals;
  static const std::vector<std::string> odd = {"\x18\x05"s,  // 5 in two bytes
                                               "\x19\x00\x05"s,
                                               "\x1a\x00\x00\x01\x00"s,
                                               "\x1b\x00\x00\x00\x00\x00\x01\x00\x00"s,
                                               "\x38\x05"s,
                                               "\x58\x01z"s,  // bytes with a long head
                                               "\x78\x01z"s,  // text
                                               "\x98\x00"s,
                                               "\xb8\x00"s,  // array, map
                                               "\x9f\xff"s,
                                               "\xbf\xff"s,
                                               "\x5f\xff"s,
                                               "\x7f\xff"s,  // indefinite
                                               "\xff"s,
                                               "\x1c"s,
                                               "\xfc"s,  // break, reserved
                                               "\xf7"s,
                                               "\xf0"s,
                                               "\xf8\x20"s,
                                               "\xf8\x14"s,  // undefined, simple values
                                               "\xf9\x3c\x00"s,
                                               "\xfa\x3f\x80\x00\x00"s,
                                               "\xfb\x3f\xf0\x00\x00\x00\x00\x00\x00"s,  // 1.0
                                               "\xf9\x7e\x00"s,
                                               "\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00"s,
                                               "\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00"s,
                                               "\xc1\x00"s,
                                               "\xd8\x2a\x00"s,
                                               "\xd8\x2a\x41\x00"s,
                                               "\xd8\x2a\x58\x25\x01"s + cid_of("x"),  // tags, links
                                               "\xd8\x2b\x58\x25\x00"s + cid_of("x"),
                                               "\xd8\x2a\x58\x25\x00"s + cid_of("x"),
                                               "\xd9\x00\x2a\x58\x25\x00"s + cid_of("x"),
                                               "\xd8\x2a\x59\x00\x25\x00"s + cid_of("x"),
                                               "\xd8\x2a\x58\x23\x00\x12\x20"s + sha256("x"),
                                               "\xd8\x2a\x46\x00\x01\x55\x00\x01x"s,
                                               "\xd8\x2a\x46\x00\x01\x55\x00\x02x"s,
                                               "\xd8\x2a\x47\x00\x01\xd5\x00\x00\x01x"s,
                                               "\xd8\x2a\x5f"s,
                                               "\xd8\x2a\x61z"s,
                                               "\x62\xc3\x28"s,
                                               "\x62\xc0\xaf"s,
                                               "\x63\xed\xa0\x80"s,
                                               "\x64\xf4\x90\x80\x80"s,
                                               "\x61\x80"s,
                                               "\x63\xe2\x82\xac"s,
                                               "\x64\xf0\x9f\x98\x80"s,
                                               "\x63\xf0\x9f\x98"s,
                                               "\xa2\x61"
                                               "b\x01\x61"
                                               "a\x02"s,  // keys out of order
                                               "\xa2\x62"
                                               "aa\x01\x61"
                                               "b\x02"s,
                                               "\xa2\x61"
                                               "a\x01\x61"
                                               "a\x02"s,
                                               "\xa2\x61"
                                               "a\x01\x62"
                                               "aa\x02"s,
                                               "\xa1\x01\x02"s,
                                               "\xa1\x41"
                                               "a\x02"s,
                                               "\xa1\x78\x01"
                                               "a\x02"s,
                                               "\xa1\x60\x02"s,
                                               "\x9b\xff\xff\xff\xff\xff\xff\xff\xff"s,
                                               "\xbb\x80\x00\x00\x00\x00\x00\x00\x00"s,
                                               "\x5b\xff\xff\xff\xff\xff\xff\xff\xff"s,
                                               "\xdb\x00"s};
  if (one_in(12))
    return Value::raw_of(std::string(any_of<std::size_t>({100, 124, 125, 126, 127, 200}), '\x81') + '\x01');
  return Value::raw_of(any_of(odd));
}

std::string ChainGenerator::break_encoding(std::string& token) {
  const std::size_t at = below(token.size());
  switch (below(5)) {
    case 0:
      token[at] = static_cast<char>(token[at] ^ (1 << below(8)));
      return "a bit flipped";
    case 1:
      token.resize(at);
      return "cut off";
    case 2:
      token += static_cast<char>(below(256));
      return "a byte behind the end";
    case 3:
      token.insert(at, 1, static_cast<char>(below(256)));
      return "a byte put in";
    default:
      token = std::string("\x98\x02", 2) + token.substr(1);
      return "the outer array re-encoded";
  }
}

std::string ChainGenerator::break_one(std::vector<Draft>& chain) {
  Draft& any = chain[below(chain.size())];
  Draft& invocation = chain.back();
  Draft* delegation = chain.size() > 1 ? &chain[below(chain.size() - 1)] : nullptr;
  const auto time = [](std::int64_t n) { return Value::integer_of(n); };
  switch (below(34)) {
    case 0:
      any.field("exp") = time(kGeneratedAt - any_of<std::int64_t>({1, 2, 60, 61, kGeneratedAt}));
      return "expired";
    case 1:
      any.field("exp") = time(kGeneratedAt + any_of<std::int64_t>({86401, 86460, 1000000}));
      return "expires far away";
    case 2:
      any.field("exp") = Value::null();
      return "no expiry";
    case 3:
      if (delegation) delegation->field("nbf") = time(kGeneratedAt + any_of<std::int64_t>({1, 60, 1000}));
      return "not yet valid";
    case 4:
      invocation.field("iat") = time(kGeneratedAt + any_of<std::int64_t>({61, 62, 1000}));
      return "made later";
    case 5:
      any.key = &any_key();
      return "signed by another";
    case 6:
      if (delegation) delegation->field("aud") = text(any_key().did);
      return "another audience";
    case 7:
      any.field("iss") = text(any_key().did);
      return "another issuer";
    case 8:
      any.field("sub") = text(any_key().did);
      return "another subject";
    case 9:
      any.field("sub") = Value::null();
      return "no subject";
    case 10:
      question_.audience = any_key().did;
      return "for another node";
    case 11:
      any.field("cmd") = text(any_of<std::string>({"/", "/msg", "/other", "/msg/sendx", "/msg/send"}));
      return "another command";
    case 12:
      any.field("cmd") = text(any_of<std::string>({"", "msg", "/msg/", "/Msg", "//", "/a//b"}));
      return "no command";
    case 13:
      if (delegation) delegation->field("pol").list.push_back(statement(invocation.field("args"), 3));
      return "any policy";
    case 14: {
      if (!delegation) return "";
      Value deep = true_statement(invocation.field("args"));
      for (std::uint64_t n = 3 + below(12); n != 0; --n)
        deep = one_in(2) ? Value::list_of({text("not"), deep})
                         : Value::list_of({text("and"), Value::list_of({deep})});
      delegation->field("pol").list.push_back(deep);
      return "deep policy";
    }
    case 15: {
      if (!delegation) return "";
      std::string deep(any_of<std::size_t>({100, 123, 124, 125, 126, 127, 128, 400}), '\x81');
      delegation->field("pol").list.push_back(Value::raw_of(deep + "\x01"));
      return "policy nested beyond everything";
    }
    case 16:
      if (delegation)
        delegation->field("pol").list.push_back(any_of<Value>(
            {literal(2), Value::list_of({}), Value::list_of({text("==")}),
             Value::list_of({text("like"), text(".a"), Value::whole_of(1)}),
             Value::list_of({text("<"), text(".a"), text("1")}),
             Value::list_of({text("xor"), Value::list_of({})}),
             Value::list_of({text("not"), Value::list_of({})}), Value::list_of({text("=="), text(".a")}),
             Value::list_of({text("=="), text(".a"), Value::null(), Value::null()}),
             Value::list_of({text("all"), text(".a"), Value::list_of({})})}));
      return "no policy";
    case 17:
      any.drop(any_of<std::string>({"iss", "aud", "sub", "cmd", "pol", "args", "prf", "nonce", "exp"}));
      return "a field missing";
    case 18:
      any.field(any_of<std::string>({"iss", "aud", "sub", "cmd", "pol", "args", "prf", "nonce", "exp", "meta",
                                     "nbf", "iat", "cause"})) = literal(1);
      return "a field of any type";
    case 19:
      any.field(any_of<std::string>({"x", "unknown", "fct", "nnc"})) = literal(1);
      return "an unknown field";
    case 20:
      any.field(any_of<std::string>({"nonce", "meta", "args", "pol", "exp", "zz"})) = odd_encoding();
      return "an odd encoding";
    case 21:
      any.field("meta") = Value::map_of({{"m", odd_encoding()}});
      return "an odd encoding in meta";
    case 22:
      any.field("nonce") =
          Value::bytes_of(std::string(any_of<std::size_t>({3500, 3700, 3800, 4096, 5000}), 'n'));
      return "large";
    case 23:
      any.header = Value::bytes_of(any_of<std::string>(
          {"", std::string("\x34\x01\xec\x01\xec\x01\x12\x71", 8), kGeneratedHeader + "x"}));
      return "another header";
    case 24:
      any.header = literal(0);
      return "no header";
    case 25:
      any.tag = any_of<std::string>(
          {"ucan/dlg@1.0.0", "ucan/inv@1.0.0", "ucan/dlg@1.0.0-rc.1", "i", "ucan/inv@1.1.0"});
      return "another tag";
    case 26:
      any.field(any_of<std::string>({"iss", "aud", "sub"})) = text(any_of<std::string>(
          {"did:web:example.com", "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme", "did:", "key",
           any_key().did + "1", "did:key:z1" + any_key().did.substr(9), "#"}));
      return "another DID";
    case 27:
      any.field("exp") = Value::whole_of(any_of<std::uint64_t>({(1ull << 53) - 1, 1ull << 53, ~0ull}));
      return "a time out of range";
    case 28:
      any.field("exp") =
          Value::negative_of(any_of<std::uint64_t>({0, (1ull << 53) - 2, (1ull << 53) - 1, ~0ull}));

      return "a time before 1970";
    case 29: {
      Value proofs = Value::list_of({});
      for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
        seal(chain[i]);
        proofs.list.push_back(Value::link_of(cid_of(chain[i].token)));
      }
      switch (below(5)) {
        case 0:
          proofs.list.push_back(Value::link_of(cid_of("nothing")));
          break;
        case 1:
          std::ranges::reverse(proofs.list);
          break;
        case 2:
          if (!proofs.list.empty()) proofs.list.pop_back();
          break;
        case 3:
          if (!proofs.list.empty()) proofs.list.push_back(proofs.list.front());
          break;
        default:
          proofs.list.push_back(Value::link_of("\x12\x20" + sha256("old")));
          break;
      }
      invocation.field("prf") = proofs;
      return "other proofs";
    }
    case 30:
      invocation.field("args") = arguments();
      return "other arguments";
    case 31:
      any.field("meta") = Value::map_of({{"f", Value::real_of(0.5)}});
      return "a float";
    case 32:
      if (delegation && delegation == &chain.front()) delegation->field("sub") = Value::null();
      return "powerline at the root";
    default:
      any.field("nonce") = Value::whole_of(1);
      return "no nonce";
  }
}

}  // namespace pgrid::model
