#include "control/token/terms.hpp"

#include <algorithm>

#include "control/token/writer.hpp"

namespace pgrid::token {
namespace {

struct Number {
  std::string_view key;
  std::optional<std::uint32_t> Terms::* term;
  std::uint32_t min;
};
// In the order of DAG-CBOR's map keys. "can" comes first.
constexpr Number kNumbers[] = {{"rate", &Terms::rate, 1},
                               {"burst", &Terms::burst, 1},
                               {"body_max", &Terms::body_max, 0},
                               {"in_flight", &Terms::in_flight, 1},
                               {"deadline_us", &Terms::deadline_us, 1}};

struct Word {
  std::string_view text;
  std::uint8_t permission;
};
constexpr Word kWords[] = {{"send", kSend}, {"derive", kDerive}, {"carry", kCarry}};

std::uint8_t permission_of(const Item& item) {
  for (const Word& word : kWords)
    if (item.kind == Kind::text && item.text() == word.text) return word.permission;
  return 0;
}

std::size_t nb_numbers(const Terms& terms) {
  return static_cast<std::size_t>(
      std::ranges::count_if(kNumbers, [&](const Number& n) { return (terms.*n.term).has_value(); }));
}

/// ["all", ".can", ["or", [["==", ".", "send"], ...]]]
void write_can(Writer& out, std::uint8_t can) {
  out.array(3).text("all").text(".can").array(2).text("or");
  out.array(static_cast<std::uint64_t>(__builtin_popcount(can)));
  for (const Word& word : kWords)
    if ((can & word.permission) != 0) out.array(3).text("==").text(".").text(word.text);
}

/// The permissions in a statement that `write_can` wrote; 0: it is another.
std::uint8_t can_in(Bytes statement) {
  Cursor in(statement);
  if (in.next().value != 3 || in.next().text() != "all" || in.next().text() != ".can") return 0;
  if (in.next().value != 2 || in.next().text() != "or") return 0;
  const Item list = in.next();
  std::uint8_t can = 0;
  for (std::uint64_t i = 0; list.kind == Kind::array && i < list.value; ++i) {
    if (in.next().value != 3 || in.next().text() != "==" || in.next().text() != ".") return 0;
    const std::uint8_t permission = permission_of(in.next());
    if (permission == 0) return 0;
    can |= permission;
  }
  return can;
}

}  // namespace

std::vector<std::uint8_t> policy_of(const Terms& terms) {
  Writer out;
  out.array((terms.can ? 1 : 0) + nb_numbers(terms));
  if (terms.can) write_can(out, *terms.can);
  for (const Number& number : kNumbers)
    if (const auto& value = terms.*number.term)
      out.array(3).text("<=").text('.' + std::string(number.key)).uint(*value);
  return std::move(out).take();
}

std::vector<std::uint8_t> arguments_of(const Terms& terms) {
  Writer out;
  out.map((terms.can ? 1 : 0) + nb_numbers(terms));
  if (terms.can) {
    out.text("can").array(static_cast<std::uint64_t>(__builtin_popcount(*terms.can)));
    for (const Word& word : kWords)
      if ((*terms.can & word.permission) != 0) out.text(word.text);
  }
  for (const Number& number : kNumbers)
    if (const auto& value = terms.*number.term) out.text(number.key).uint(*value);
  return std::move(out).take();
}

std::optional<Terms> terms_in(Bytes arguments) {
  Terms terms;
  Cursor in(arguments);
  const Item map = in.next();
  for (std::uint64_t i = 0; i < map.value; ++i) {
    const std::string_view key = in.next().text();
    if (key == "can") {
      const Item list = in.next();
      if (list.kind != Kind::array || list.value == 0) return std::nullopt;
      std::uint8_t can = 0;
      for (std::uint64_t k = 0; k < list.value; ++k) {
        const std::uint8_t permission = permission_of(in.next());
        if (permission == 0) return std::nullopt;
        can |= permission;
      }
      terms.can = can;
      continue;
    }
    const auto number = std::ranges::find(kNumbers, key, &Number::key);
    const Item value = in.next();
    if (number == std::end(kNumbers) || value.kind != Kind::uint || value.value < number->min ||
        value.value > INT32_MAX)
      return std::nullopt;
    terms.*number->term = static_cast<std::uint32_t>(value.value);
  }
  return terms;
}

void narrow(Terms& terms, Bytes policy) {
  Cursor in(policy);
  for (std::uint64_t left = in.next().value; left != 0 && !in.at_end(); --left) {
    const Bytes statement = in.take();
    if (const std::uint8_t can = can_in(statement); can != 0) terms.can = terms.can ? *terms.can & can : can;
    Cursor part(statement);
    if (part.next().value != 3 || part.next().text() != "<=") continue;
    const std::string_view selector = part.next().text();
    const Item bound = part.next();
    if (!selector.starts_with('.') || bound.kind != Kind::uint) continue;
    const auto number = std::ranges::find(kNumbers, selector.substr(1), &Number::key);
    if (number == std::end(kNumbers)) continue;
    auto& term = terms.*number->term;
    term = static_cast<std::uint32_t>(std::min<std::uint64_t>(bound.value, term.value_or(INT32_MAX)));
  }
}

}  // namespace pgrid::token
