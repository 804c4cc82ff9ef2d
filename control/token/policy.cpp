#include "control/token/policy.hpp"

#include <algorithm>
#include <array>

#include "control/token/selector.hpp"

namespace pgrid::token {
namespace {

enum class Shape : std::uint8_t {
  compare_any,
  compare_number,
  compare_text,
  negation,
  connective,
  quantifier
};
enum class Op : std::uint8_t { eq, ne, lt, le, gt, ge, like, negate, both, either, every, some };

struct Operator {
  std::string_view name;
  Op op;
  Shape shape;
};

constexpr std::array<Operator, 12> kOperators = {{
    {"==", Op::eq, Shape::compare_any},
    {"!=", Op::ne, Shape::compare_any},
    {"<", Op::lt, Shape::compare_number},
    {"<=", Op::le, Shape::compare_number},
    {">", Op::gt, Shape::compare_number},
    {">=", Op::ge, Shape::compare_number},
    {"like", Op::like, Shape::compare_text},
    {"not", Op::negate, Shape::negation},
    {"and", Op::both, Shape::connective},
    {"or", Op::either, Shape::connective},
    {"all", Op::every, Shape::quantifier},
    {"any", Op::some, Shape::quantifier},
}};

const Operator* operator_of(const Item& item) {
  if (item.kind != Kind::text) return nullptr;
  for (const Operator& one : kOperators)
    if (one.name == item.text()) return &one;
  return nullptr;
}

Reason check_statements(Cursor& in, unsigned depth_left);

/// Reads one statement off `in`.
Reason check_statement(Cursor& in, unsigned depth_left) {
  if (depth_left == 0) return Reason::policy_too_deep;
  const Item head = in.next();
  if (head.kind != Kind::array || head.value < 2) return Reason::malformed;
  const Operator* op = operator_of(in.next());
  if (op == nullptr) return Reason::malformed;
  const bool has_selector = op->shape != Shape::negation && op->shape != Shape::connective;
  if (head.value != (has_selector ? 3u : 2u)) return Reason::malformed;
  if (has_selector) {
    const Item selector = in.next();
    if (selector.kind != Kind::text || !is_selector(selector.text())) return Reason::malformed;
  }
  switch (op->shape) {
    case Shape::compare_any:
      in.take();
      return Reason::valid;
    case Shape::compare_number:
      return is_number(in.next()) ? Reason::valid : Reason::malformed;
    case Shape::compare_text:
      return in.next().kind == Kind::text ? Reason::valid : Reason::malformed;
    case Shape::connective:
      return check_statements(in, depth_left - 1);
    default:
      return check_statement(in, depth_left - 1);
  }
}

Reason check_statements(Cursor& in, unsigned depth_left) {
  const Item list = in.next();
  if (list.kind != Kind::array) return Reason::malformed;
  for (std::uint64_t i = 0; i < list.value; ++i)
    if (const Reason reason = check_statement(in, depth_left); reason != Reason::valid) return reason;
  return Reason::valid;
}

bool is_number_in(const Selected& selected, Item& number) {
  if (selected.form == Selected::Form::number)
    number = {.kind = Kind::uint, .value = selected.number};
  else if (selected.form == Selected::Form::item)
    number = first_of(selected.bytes);
  return is_number(number);
}

bool is_equal(const Selected& selected, Bytes literal) {
  switch (selected.form) {
    case Selected::Form::none:
      return false;
    case Selected::Form::null:
      return first_of(literal).kind == Kind::null;
    case Selected::Form::item:
      return equal(selected.bytes, literal);
    case Selected::Form::number: {
      const Item item = first_of(literal);
      return is_number(item) && compare_numbers({.kind = Kind::uint, .value = selected.number}, item) == 0;
    }
    case Selected::Form::octets: {
      const Item item = first_of(literal);
      return item.kind == Kind::bytes && std::ranges::equal(item.content, selected.bytes);
    }
    case Selected::Form::list:
      break;
  }
  Cursor in(literal);
  const Item head = in.next();
  if (head.kind != Kind::array || head.value != selected.count) return false;
  bool all = true;
  for_each(selected, [&](Bytes element) { return all = equal(element, in.take()); });
  return all;
}

bool holds(Bytes statement, Bytes data);

/// "and" and "or": over statements. An empty list is true, for both (UCAN delegation, "Or").
bool connective_holds(Op op, Bytes statements, Bytes data) {
  Cursor in(statements);
  const std::uint64_t count = in.next().value;
  for (std::uint64_t i = 0; i < count; ++i)
    if (holds(in.take(), data) == (op == Op::either)) return op == Op::either;
  return op == Op::both || count == 0;
}

/// "all" and "any": over elements. Nothing is no example of anything: "any" of an empty collection is false.
bool quantifier_holds(Op op, const Selected& selected, Bytes statement) {
  bool result = op == Op::every;
  const bool is_collection = for_each(selected, [&](Bytes element) {
    if (holds(statement, element) == (op == Op::every)) return true;
    result = op == Op::some;
    return false;
  });
  return is_collection && result;
}

bool comparison_holds(Op op, const Selected& selected, Bytes literal) {
  Item number;
  if (!is_number_in(selected, number)) return false;
  const int order = compare_numbers(number, first_of(literal));
  switch (op) {
    case Op::lt:
      return order < 0;
    case Op::le:
      return order <= 0;
    case Op::gt:
      return order > 0;
    default:
      return order >= 0;
  }
}

bool holds(Bytes statement, Bytes data) {
  Cursor in(statement);
  (void)in.next();
  const Operator* op = operator_of(in.next());
  if (op == nullptr) return false;
  if (op->shape == Shape::negation) return !holds(in.take(), data);
  if (op->shape == Shape::connective) return connective_holds(op->op, in.take(), data);
  const Selected selected = select(in.next().text(), data);
  if (selected.form == Selected::Form::none) return false;
  const Bytes argument = in.take();
  switch (op->shape) {
    case Shape::compare_any:
      return is_equal(selected, argument) == (op->op == Op::eq);
    case Shape::compare_number:
      return comparison_holds(op->op, selected, argument);
    case Shape::quantifier:
      return quantifier_holds(op->op, selected, argument);
    default:
      break;
  }
  const Item text = selected.form == Selected::Form::item ? first_of(selected.bytes) : Item{};
  return text.kind == Kind::text && is_like(text.text(), first_of(argument).text());
}

}  // namespace

Reason check_policy(Bytes policy, unsigned depth_max) {
  Cursor in(policy);
  return check_statements(in, depth_max);
}

bool satisfies(Bytes policy, Bytes args) { return connective_holds(Op::both, policy, args); }

bool is_like(std::string_view text, std::string_view pattern) {
  // After a mismatch the last star takes one character more; earlier stars never need to.
  std::size_t t = 0;
  std::size_t p = 0;
  std::size_t star = std::string_view::npos;  // behind the last one met
  std::size_t taken = 0;                      // where what it took ends
  while (t < text.size()) {
    const bool is_escape = p + 1 < pattern.size() && pattern[p] == '\\' && pattern[p + 1] == '*';
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      taken = t;
    } else if (p < pattern.size() && text[t] == (is_escape ? '*' : pattern[p])) {
      ++t;
      p += is_escape ? 2 : 1;
    } else if (star != std::string_view::npos) {
      t = ++taken;
      p = star;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace pgrid::token
