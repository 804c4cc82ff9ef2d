// What is known of the values of a function at one point of it.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "control/code/arc.hpp"
#include "drivers/wabt/code.hpp"

namespace pgrid::control {

/// A number that some instruction gave, or that a loop began an iteration with. Equal symbols stand for equal
/// numbers for as long as the point is not passed again: a loop gives new symbols to all that it changes. 0
/// is the number 0, so constants are offsets from it.
using Symbol = std::uint32_t;
inline constexpr Symbol kZero = 0;

struct Value {
  std::uint64_t offset = 0;  // the value is symbol + offset, modulo 2^width
  Arc arc;                   // and lies here
  Symbol symbol = kZero;
  std::uint32_t condition = 0;  // index of Conditions; 0: none
  std::uint8_t width = 32;      // 32 or 64; anything else is no integer, and nothing else holds
  std::uint8_t zeros = 0;       // low bits that are 0 for sure

  [[nodiscard]] bool is_integer() const { return width == 32 || width == 64; }
  [[nodiscard]] bool is_constant() const { return is_integer() && symbol == kZero; }

  static Value constant(std::uint64_t value, std::uint8_t width) {
    value &= all_ones(width);
    const auto zeros = static_cast<std::uint8_t>(value == 0 ? width : std::countr_zero(value));
    return {.offset = value, .arc = Arc::one(value), .width = width, .zeros = zeros};
  }
};

/// A truth value's origin: a comparison, or what and_, or_ and eqz make of others.
struct Condition {
  code::Op op = code::Op::ne;  // a comparison of x and y; and_, or_: of two conditions; eqz: not x
  Value x, y;
};

/// Where a symbol comes from, when that is worth remembering.
struct Origin {
  enum class Kind : std::uint8_t {
    receive,   // promisegrid.receive gave it
    quotient,  // `of` divided by at least 2, rounded down, as unsigned
  };
  Kind kind = Kind::receive;
  Symbol of = kZero;
};

/// Symbols and conditions of one walk over a function.
class Names {
 public:
  Names() { conditions.emplace_back(); }
  [[nodiscard]] Symbol fresh() { return ++last_; }
  [[nodiscard]] Symbol last() const { return last_; }
  [[nodiscard]] Value unknown(std::uint8_t width, const Arc& arc) {
    if (width != 32 && width != 64) return {.symbol = fresh(), .width = width};
    if (arc.is_one()) return Value::constant(arc.first, width);
    return {.arc = arc, .symbol = fresh(), .width = width};
  }
  [[nodiscard]] Value unknown(std::uint8_t width) { return unknown(width, Arc::any(width == 64 ? 64 : 32)); }

  std::vector<Condition> conditions;
  std::unordered_map<Symbol, Origin> origins;

 private:
  Symbol last_ = kZero;
};

/// "x + offset is not y", of two symbols.
struct Unequal {
  Symbol x = kZero, y = kZero;
  std::uint64_t offset = 0;
  std::uint8_t width = 32;
  Arc x_arc, y_arc;  // where they lie
  std::uint8_t x_zeros = 0, y_zeros = 0;
  [[nodiscard]] bool is_same(const Unequal& other) const {
    return x == other.x && y == other.y && offset == other.offset && width == other.width;
  }
};

/// One point of a function, on all paths that lead there.
struct State {
  std::vector<Value> locals;
  std::vector<Value> watched;  // what the open loops' changing locals were when their iteration began
  std::vector<Value> stack;
  std::vector<Unequal> unequal;  // a few, the latest
  Symbol received = kZero;       // the latest result of receive that is known to be positive; 0: none

  [[nodiscard]] std::size_t size() const { return locals.size() + watched.size() + stack.size(); }
};

/// Takes over that `value` is not 0, or that it is. False: that cannot be, so no path goes on.
[[nodiscard]] bool assume(State& state, const Names& names, const Value& value, bool truth);

/// Where `value` lies when `condition` holds, or does not; nothing: that cannot be.
[[nodiscard]] std::optional<Arc> arc_if(const Names& names, const Value& value, const Value& condition,
                                        bool truth);

/// Keeps what both lists say.
void join(std::vector<Unequal>& into, const std::vector<Unequal>& other);

/// Makes `into` hold on the paths of both.
void join(State& into, const State& other, Names& names);

/// A loop's bound that comes from more numbers than this is taken for no bound at all: what nobody checked,
/// or only its sign.
inline constexpr std::uint64_t kCheckedSpan = 1u << 28;

}  // namespace pgrid::control
