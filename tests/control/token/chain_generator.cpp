#include "tests/control/token/chain_generator.hpp"

#include <sodium.h>

#include <algorithm>

namespace pgrid::model {
namespace {

using Type = Value::Type;

constexpr std::size_t kKeys = 12;

Value text(const std::string& s) { return Value::text_of(s); }
Value statement_of(const std::string& op, const std::string& selector, Value argument) {
  return Value::list_of({text(op), text(selector), std::move(argument)});
}

}  // namespace

Value& ChainGenerator::Draft::field(const std::string& name) {
  for (auto& [its_name, value] : fields)
    if (its_name == name) return value;
  return fields.emplace_back(name, Value::null()).second;
}

void ChainGenerator::Draft::drop(const std::string& name) {
  std::erase_if(fields, [&](const auto& one) { return one.first == name; });
}

ChainGenerator::ChainGenerator(std::uint64_t seed) : random_(seed) {
  for (std::size_t i = 0; i < kKeys; ++i) {
    std::array<unsigned char, 32> key_seed;
    for (auto& byte : key_seed) byte = static_cast<unsigned char>(below(256));
    Key made;
    std::string public_key(32, '\0');
    crypto_sign_seed_keypair(reinterpret_cast<unsigned char*>(public_key.data()), made.secret.data(),
                             key_seed.data());
    made.did = did_of(public_key);
    keys_.push_back(made);
  }
}

Value ChainGenerator::literal(int depth) {
  switch (below(depth > 0 ? 9 : 7)) {
    case 0:
      return Value::integer_of(static_cast<std::int64_t>(below(40)) - 20);
    case 1:
      return Value::whole_of(random_() >> below(64));
    case 2:
      return text(any_of<std::string>({"", "alice@example.com", "bob@example.com", "a*b", "é", "x\"y"}));
    case 3:
      return Value::bytes_of(std::string(below(5), static_cast<char>(below(256))));
    case 4:
      return Value::yes_no_of(one_in(2));
    case 5:
      return one_in(2) ? Value::null() : Value::negative_of(random_() >> below(64));
    case 6:
      if (question_.is_lenient && one_in(2)) return Value::real_of(static_cast<double>(below(40)) / 2 - 10);
      return Value::whole_of(below(5));
    case 7: {
      Value list = Value::list_of({});
      for (std::uint64_t n = below(4); n != 0; --n) list.list.push_back(literal(depth - 1));
      return list;
    }
    default: {
      Value map = Value::map_of({});
      for (const char* key : {"a", "b", "long-key", "é"})
        if (one_in(2)) map.map.emplace_back(key, literal(depth - 1));
      return map;
    }
  }
}

Value ChainGenerator::arguments() {
  Value args = Value::map_of({});
  for (const char* key : {"rate", "can", "a", "b", "body_max", "to", "x y", "z9_"})
    if (one_in(2)) args.map.emplace_back(key, literal(3));
  return args;
}

std::string ChainGenerator::selector(const Value& args) {
  if (one_in(30))
    return any_of<std::string>({"", "a", "..", ".a.", ".[", ".[\"a]", ".a[0", ".[1:2:3]", ".a b", ".?",
                                ".[x]", ".a[\"\\q\"]", ".[--1]", "?.a"});
  std::string s = ".";
  Value at = args;
  for (std::uint64_t steps = below(4); steps != 0; --steps) {
    if (at.type == Type::map && !at.map.empty() && !one_in(8)) {
      const auto [key, value] = at.map[below(at.map.size())];
      const bool plain = key.find_first_of(" \"") == std::string::npos;
      if (plain && one_in(2))
        s += (s == "." ? "" : ".") + key;
      else
        s += "[\"" + key + "\"]";
      at = value;
    } else if ((at.type == Type::list || at.type == Type::bytes) && !one_in(8)) {
      const auto number = [&] { return std::to_string(static_cast<int>(below(8)) - 4); };
      switch (below(4)) {
        case 0:
          s += "[" + number() + ":" + number() + "]";
          break;
        case 1:
          s += one_in(2) ? "[:" + number() + "]" : "[" + number() + ":]";
          break;
        case 2:
          s += "[]";
          break;
        default:
          s += "[" + number() + "]";
          at = at.type == Type::list && !at.list.empty() ? at.list[0] : Value::null();
      }
    } else {
      s += any_of<std::string>({".none", "[0]", "[]", ".none?", "[7]?", "[\"q\"]??"});
      if (s.starts_with("..")) s.erase(0, 1);
    }
    if (one_in(5)) s += one_in(2) ? "?" : "??";
  }
  return s;
}

Value ChainGenerator::statement(const Value& args, int depth) {
  if (depth > 0 && one_in(2)) {
    const std::string op = any_of<std::string>({"not", "and", "or", "all", "any"});
    if (op == "all" || op == "any") return statement_of(op, selector(args), statement(literal(1), depth - 1));
    if (op == "not") return Value::list_of({text(op), statement(args, depth - 1)});
    Value list = Value::list_of({});
    for (std::uint64_t n = below(3); n != 0; --n) list.list.push_back(statement(args, depth - 1));
    return Value::list_of({text(op), list});
  }
  const std::string op = any_of<std::string>({"==", "!=", "<", "<=", ">", ">=", "like"});
  const std::string where = selector(args);
  if (op == "like")
    return statement_of(
        op, where,
        text(any_of<std::string>({"*", "*@example.com", "a\\*b", "a*", "*a*b*", "", "\\", "**e*"})));
  if (op == "==" || op == "!=") {
    if (!args.map.empty() && one_in(2)) {
      const auto& [key, value] = args.map[below(args.map.size())];
      return statement_of(op, "[\"" + key + "\"]", value).list[0].string.empty()
                 ? Value::null()
                 : statement_of(op, ".[\"" + key + "\"]", value);
    }
    return statement_of(op, where, literal(2));
  }
  Value number = literal(0);
  if (number.type != Type::whole && number.type != Type::negative && number.type != Type::real && !one_in(20))
    number = Value::whole_of(below(30));
  return statement_of(op, where, number);
}

/// One that holds, so that chains with policies are often valid.
Value ChainGenerator::true_statement(const Value& args) {
  for (int tries = 0; tries < 4; ++tries) {
    Value s = statement(args, 2);
    try {
      // The model is asked only to find examples: a wrong answer of its gives a false one, not a false
      // verdict.
      if (policy_holds(Value::list_of({s}), args)) return s;
      return Value::list_of({text("not"), s});
    } catch (const Refused&) {
    }
  }
  return Value::list_of({text("and"), Value::list_of({})});
}

std::vector<ChainGenerator::Draft> ChainGenerator::drafts(std::size_t delegations) {
  std::vector<const Key*> path;
  for (std::size_t i = 0; i <= delegations; ++i) path.push_back(&any_key());
  const std::string executor = any_key().did;
  const Value args = arguments();
  const std::vector<std::string> commands = {"/", "/msg", "/msg/send", "/msg/send/now", "/msg/send/now/ほげ"};
  std::size_t command = below(3);
  const auto expiry = [&] {
    if (question_.is_lenient && one_in(4)) return Value::null();
    return Value::integer_of(kGeneratedAt + any_of<std::int64_t>({0, 1, 60, 3600, 86399, 86400}));
  };
  const auto nonce = [&] { return Value::bytes_of(std::string(below(17), static_cast<char>(below(256)))); };
  std::vector<Draft> chain;
  for (std::size_t i = 0; i <= delegations; ++i) {
    Draft d{.is_invocation = i == delegations,
            .key = path[i],
            .header = Value::bytes_of(kGeneratedHeader),
            .token = {}};
    d.tag = d.is_invocation ? "ucan/inv@1.0.0" : "ucan/dlg@1.0.0";
    d.field("iss") = text(path[i]->did + (one_in(20) ? "#" + path[i]->did.substr(8) : ""));
    d.field("sub") = text(path[0]->did);
    if (!d.is_invocation && i != 0 && question_.is_lenient && one_in(6)) d.field("sub") = Value::null();
    d.field("cmd") = text(commands[command]);
    if (command + 1 < commands.size() && one_in(2)) ++command;
    d.field("exp") = expiry();
    d.field("nonce") = nonce();
    if (one_in(4)) d.field("meta") = Value::map_of({{"m", literal(2)}});
    if (question_.is_lenient && one_in(10)) d.field("unknown") = literal(1);
    if (d.is_invocation) {
      if (!one_in(3)) d.field("aud") = text(executor);
      question_.audience = d.fields.back().first == "aud" ? executor : path[0]->did;
      d.field("args") = args;
      d.field("prf");
      if (one_in(2))
        d.field("iat") = Value::integer_of(kGeneratedAt + any_of<std::int64_t>({-100000, 0, 59, 60}));
      if (one_in(8)) d.field("cause") = Value::link_of(cid_of("a receipt"));
    } else {
      d.field("aud") = text(path[i + 1]->did + (one_in(20) ? "#key" : ""));
      Value policy = Value::list_of({});
      for (std::uint64_t n = below(4); n != 0; --n) policy.list.push_back(true_statement(args));
      d.field("pol") = policy;
      if (one_in(3))
        d.field("nbf") = Value::integer_of(kGeneratedAt - any_of<std::int64_t>({0, 1, 5000, kGeneratedAt}));
    }
    chain.push_back(std::move(d));
  }
  return chain;
}

void ChainGenerator::seal(Draft& draft) {
  const std::string payload =
      encode(Value::map_of({{"h", draft.header}, {draft.tag, Value::map_of(draft.fields)}}));
  std::string signature(64, '\0');
  crypto_sign_detached(reinterpret_cast<unsigned char*>(signature.data()), nullptr,
                       reinterpret_cast<const unsigned char*>(payload.data()), payload.size(),
                       draft.key->secret.data());
  draft.token = encode(Value::list_of({Value::bytes_of(signature), Value::raw_of(payload)}));
}

void ChainGenerator::seal_all(std::vector<Draft>& chain) {
  Value proofs = Value::list_of({});
  for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
    seal(chain[i]);
    proofs.list.push_back(Value::link_of(cid_of(chain[i].token)));
  }
  if (chain.back().field("prf").type == Type::null) chain.back().field("prf") = proofs;
  seal(chain.back());
}

Case ChainGenerator::next() {
  question_ = {};
  question_.at = kGeneratedAt;
  question_.is_lenient = one_in(3);
  const std::size_t lengths[] = {0, 1, 1, 2, 2, 2, 3, 3, 4, 5, 8};
  std::size_t length = lengths[below(std::size(lengths))];
  if (one_in(60)) length = 9;
  Case made;
  std::vector<Draft> chain = drafts(length);
  const bool is_faulty = !one_in(3);
  if (is_faulty && !one_in(5)) {
    made.fault = break_one(chain);
    if (one_in(8)) made.fault += ", " + break_one(chain);
  }
  seal_all(chain);
  if (made.fault.empty() && is_faulty) {
    // Bytes that were changed after signing. With new proofs and a new signature of the invocation the chain
    // still leads to them.
    Draft& any = chain[below(chain.size())];
    made.fault = break_encoding(any.token);
    if (!any.is_invocation && !one_in(3)) {
      Value proofs = Value::list_of({});
      for (std::size_t i = 0; i + 1 < chain.size(); ++i)
        proofs.list.push_back(Value::link_of(cid_of(chain[i].token)));
      chain.back().field("prf") = proofs;
      seal(chain.back());
    }
  }
  question_.invocation = chain.back().token;
  for (std::size_t i = 0; i + 1 < chain.size(); ++i) question_.proofs.push_back(chain[i].token);
  if (one_in(3)) std::ranges::shuffle(question_.proofs, random_);
  if (one_in(25) && !question_.proofs.empty()) {
    question_.proofs.pop_back();
    made.fault += ", a proof left out";
  }
  if (one_in(8)) {
    question_.revoked.insert(sha256("some other token"));
    if (one_in(3)) {
      const std::string& token = chain[below(chain.size())].token;
      // The payload begins behind the array's head, the signature's head and the signature: 1, 2 and 64
      // bytes.
      question_.revoked.insert(one_in(2) || token.size() < 67 ? sha256(token) : sha256(token.substr(67)));
      made.fault += ", revoked";
    }
  }
  made.question = question_;
  return made;
}

}  // namespace pgrid::model
