// The model's policies: selectors give new trees, statements are tried one by one.
#include "tests/control/token/model_policy.hpp"

#include <algorithm>
#include <functional>
#include <optional>

#include "tests/control/token/model.hpp"

namespace pgrid::model {
namespace {

using Type = Value::Type;

bool is_number(const Value& v) {
  return v.type == Type::whole || v.type == Type::negative || v.type == Type::real;
}

/// Exactly: every 64-bit integer and every double is a __float128.
__float128 exact(const Value& v) {
  if (v.type == Type::real) return v.real;
  const __float128 n = v.number;
  return v.type == Type::whole ? n : -1 - n;
}

bool same(const Value& a, const Value& b) {
  if (is_number(a) && is_number(b)) return exact(a) == exact(b);
  if (a.type != b.type) return false;
  if (a.type == Type::list) return std::ranges::equal(a.list, b.list, same);
  if (a.type == Type::map)
    return std::ranges::equal(a.map, b.map, [](const auto& x, const auto& y) {
      return x.first == y.first && same(x.second, y.second);
    });
  return a.number == b.number && a.string == b.string;
}

struct Step {
  enum { key, all, index, range } kind = key;
  std::string name;
  std::optional<long long> from, to;
  bool is_optional = false;
};

[[noreturn]] void malformed() { throw Refused("malformed"); }

std::vector<Step> steps_of(const std::string& text) {
  std::vector<Step> steps;
  if (text.empty() || text[0] != '.') malformed();
  if (text == ".") return steps;
  std::size_t i = 0;
  const auto peek = [&]() -> char { return i < text.size() ? text[i] : '\0'; };
  const auto number = [&]() -> std::optional<long long> {
    std::string digits;
    std::size_t k = i;
    if (k < text.size() && text[k] == '-') digits += text[k++];
    const std::size_t sign = digits.size();
    while (k < text.size() && text[k] >= '0' && text[k] <= '9' && digits.size() - sign < 15)
      digits += text[k++];
    if (digits.size() == sign) return std::nullopt;
    i = k;
    return std::stoll(digits);
  };
  while (i < text.size()) {
    Step step;
    const bool dot = peek() == '.';
    if (dot) ++i;
    if (peek() == '[') {
      ++i;
      if (peek() == '"') {
        ++i;
        while (true) {
          if (i >= text.size()) malformed();
          char c = text[i++];
          if (c == '"') break;
          if (c == '\\') {
            if (i >= text.size() || (text[i] != '"' && text[i] != '\\')) malformed();
            c = text[i++];
          }
          step.name += c;
        }
      } else {
        step.from = number();
        step.kind = step.from ? Step::index : Step::all;
        if (peek() == ':') {
          ++i;
          step.kind = Step::range;
          step.to = number();
        }
      }
      if (i >= text.size() || text[i++] != ']') malformed();
    } else {
      while (i < text.size() &&
             (std::isalnum(static_cast<unsigned char>(text[i])) || text[i] == '_' || text[i] == '-' ||
              text[i] == '$' || static_cast<unsigned char>(text[i]) > 0x7f))
        step.name += text[i++];
      if (!dot || step.name.empty()) malformed();
    }
    while (peek() == '?') ++i, step.is_optional = true;
    steps.push_back(step);
  }
  return steps;
}

/// One step; nothing: there is none.
std::optional<Value> go(const Value& v, const Step& step) {
  if (step.kind == Step::key) {
    if (v.type != Type::map) return std::nullopt;
    for (const auto& [key, value] : v.map)
      if (key == step.name) return value;
    return Value::null();
  }
  if (step.kind == Step::all) {
    if (v.type == Type::list) return v;
    if (v.type != Type::map) return std::nullopt;
    Value list = Value::list_of({});
    for (const auto& [key, value] : v.map) list.list.push_back(value);
    return list;
  }
  const bool is_bytes = v.type == Type::bytes;
  if (!is_bytes && v.type != Type::list) return std::nullopt;
  const auto size = static_cast<long long>(is_bytes ? v.string.size() : v.list.size());
  const auto place = [&](long long n) { return n < 0 ? n + size : n; };
  if (step.kind == Step::index) {
    const long long n = place(*step.from);
    if (n < 0 || n >= size) return std::nullopt;
    if (is_bytes) return Value::whole_of(static_cast<unsigned char>(v.string[static_cast<std::size_t>(n)]));
    return v.list[static_cast<std::size_t>(n)];
  }
  Value part = is_bytes ? Value::bytes_of({}) : Value::list_of({});
  const long long begin = step.from ? place(*step.from) : 0;
  const long long end = step.to ? place(*step.to) : size;
  for (long long n = 0; n < size; ++n) {
    if (n < begin || n >= end) continue;
    if (is_bytes)
      part.string += v.string[static_cast<std::size_t>(n)];
    else
      part.list.push_back(v.list[static_cast<std::size_t>(n)]);
  }
  return part;
}

std::optional<Value> pick(const std::string& selector, const Value& from) {
  Value v = from;
  for (const Step& step : steps_of(selector)) {
    std::optional<Value> next = go(v, step);
    if (!next && !step.is_optional) return std::nullopt;
    v = next.value_or(Value::null());
  }
  return v;
}

/// By trying: a star is nothing, or one character and a star.
bool glob(const std::string& pattern, const std::string& text) {
  // matches[t]: whether the pattern read so far matches the first t characters.
  std::vector<bool> matches(text.size() + 1);
  matches[0] = true;
  for (std::size_t p = 0; p < pattern.size(); ++p) {
    std::vector<bool> next(text.size() + 1);
    if (pattern[p] == '*') {
      bool any = false;
      for (std::size_t t = 0; t <= text.size(); ++t) next[t] = any = any || matches[t];
    } else {
      if (pattern[p] == '\\' && p + 1 < pattern.size() && pattern[p + 1] == '*') ++p;
      for (std::size_t t = 0; t < text.size(); ++t) next[t + 1] = matches[t] && text[t] == pattern[p];
    }
    matches = next;
  }
  return matches[text.size()];
}

const std::vector<std::string> kNumeric = {"<", "<=", ">", ">="};

bool is_one_of(const std::string& word, const std::vector<std::string>& words) {
  return std::ranges::find(words, word) != words.end();
}

void check_statement(const Value& s, unsigned depth);

void check_list(const Value& list, unsigned depth) {
  if (list.type != Type::list) malformed();
  for (const Value& one : list.list) check_statement(one, depth);
}

void check_statement(const Value& s, unsigned depth) {
  if (depth == 0) throw Refused("policy_too_deep");
  if (s.type != Type::list || s.list.size() < 2 || s.list[0].type != Type::text) malformed();
  const std::string& op = s.list[0].string;
  if (op == "not" || op == "and" || op == "or") {
    if (s.list.size() != 2) malformed();
    return op == "not" ? check_statement(s.list[1], depth - 1) : check_list(s.list[1], depth - 1);
  }
  if (!is_one_of(op, kNumeric) && !is_one_of(op, {"==", "!=", "like", "all", "any"})) malformed();
  if (s.list.size() != 3 || s.list[1].type != Type::text) malformed();
  steps_of(s.list[1].string);
  if (op == "all" || op == "any") return check_statement(s.list[2], depth - 1);
  if (op == "like" && s.list[2].type != Type::text) malformed();
  if (is_one_of(op, kNumeric) && !is_number(s.list[2])) malformed();
}

bool holds(const Value& s, const Value& data) {
  const std::string& op = s.list[0].string;
  if (op == "not") return !holds(s.list[1], data);
  if (op == "and" || op == "or") {
    const auto count =
        std::ranges::count_if(s.list[1].list, [&](const Value& one) { return holds(one, data); });
    const auto all = static_cast<std::ptrdiff_t>(s.list[1].list.size());
    return op == "and" ? count == all : count > 0 || all == 0;
  }
  const std::optional<Value> v = pick(s.list[1].string, data);
  if (!v) return false;
  const Value& argument = s.list[2];
  if (op == "==") return same(*v, argument);
  if (op == "!=") return !same(*v, argument);
  if (op == "like") return v->type == Type::text && glob(argument.string, v->string);
  if (op == "all" || op == "any") {
    std::vector<Value> elements = v->list;
    if (v->type == Type::map)
      for (const auto& [key, value] : v->map) elements.push_back(value);
    else if (v->type != Type::list)
      return false;
    const auto count =
        std::ranges::count_if(elements, [&](const Value& one) { return holds(argument, one); });
    return op == "any" ? count > 0 : count == static_cast<std::ptrdiff_t>(elements.size());
  }
  if (!is_number(*v)) return false;
  const __float128 a = exact(*v);
  const __float128 b = exact(argument);
  return op == "<" ? a < b : op == "<=" ? a <= b : op == ">" ? a > b : a >= b;
}

}  // namespace

void check_policy(const Value& policy, unsigned depth) { check_list(policy, depth); }

bool policy_holds(const Value& policy, const Value& args) {
  check_policy(policy, 64);
  return std::ranges::all_of(policy.list, [&](const Value& one) { return holds(one, args); });
}

}  // namespace pgrid::model
