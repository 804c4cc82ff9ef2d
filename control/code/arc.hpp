// A set of integers that follow each other, modulo 2^32 or 2^64: what is known of a value.
//
// Like hours on a clock: a first one, and how many follow. Adding a constant turns the clock and loses
// nothing, whether a program means its numbers signed or not; so one set serves both readings. (Wrapped
// intervals: Navas, Schachte, Søndergaard, Stuckey, "Signedness- Agnostic Program Analysis", APLAS 2012.)
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>

namespace pgrid::control {

/// The largest number of `width` bits, 32 or 64; also what numbers are cut to.
constexpr std::uint64_t all_ones(unsigned width) { return width == 64 ? ~std::uint64_t{0} : 0xffff'ffff; }
constexpr std::uint64_t sign_bit(unsigned width) { return std::uint64_t{1} << (width - 1); }

struct Arc {
  std::uint64_t first = 0;
  std::uint64_t span = 0;  // how many more; all_ones: nothing is known
  bool operator==(const Arc&) const = default;

  static constexpr Arc one(std::uint64_t value) { return {value, 0}; }
  static constexpr Arc any(unsigned width) { return {0, all_ones(width)}; }
  /// From `low` up to `high`, around the clock if need be.
  static constexpr Arc between(std::uint64_t low, std::uint64_t high, unsigned width) {
    return {low, (high - low) & all_ones(width)};
  }

  [[nodiscard]] constexpr bool is_any(unsigned width) const { return span == all_ones(width); }
  [[nodiscard]] constexpr bool is_one() const { return span == 0; }
  [[nodiscard]] constexpr std::uint64_t last(unsigned width) const {
    return (first + span) & all_ones(width);
  }
  [[nodiscard]] constexpr bool has(std::uint64_t value, unsigned width) const {
    return ((value - first) & all_ones(width)) <= span;
  }
  [[nodiscard]] constexpr bool has_all(const Arc& other, unsigned width) const {
    const std::uint64_t offset = (other.first - first) & all_ones(width);
    return is_any(width) || (offset <= span && other.span <= span - offset);
  }
  [[nodiscard]] constexpr Arc plus(std::uint64_t constant, unsigned width) const {
    return is_any(width) ? *this : Arc{(first + constant) & all_ones(width), span};
  }

  /// As unsigned numbers: everything when the arc passes from the largest to 0.
  [[nodiscard]] constexpr bool is_unsigned_run(unsigned width) const {
    return first <= all_ones(width) - span;
  }
  [[nodiscard]] constexpr std::uint64_t low(unsigned width) const {
    return is_unsigned_run(width) ? first : 0;
  }
  [[nodiscard]] constexpr std::uint64_t high(unsigned width) const {
    return is_unsigned_run(width) ? first + span : all_ones(width);
  }
  /// As signed numbers, with the sign bit turned over so that they compare as unsigned ones do.
  [[nodiscard]] constexpr std::uint64_t signed_low(unsigned width) const { return turned(width).low(width); }
  [[nodiscard]] constexpr std::uint64_t signed_high(unsigned width) const {
    return turned(width).high(width);
  }

 private:
  [[nodiscard]] constexpr Arc turned(unsigned width) const { return {first ^ sign_bit(width), span}; }
};

/// The smallest arc with all of both.
constexpr Arc join(const Arc& a, const Arc& b, unsigned width) {
  if (a.has_all(b, width)) return a;
  if (b.has_all(a, width)) return b;
  const Arc ab = Arc::between(a.first, b.last(width), width);
  const Arc ba = Arc::between(b.first, a.last(width), width);
  const bool ab_has = ab.has_all(a, width) && ab.has_all(b, width);
  const bool ba_has = ba.has_all(a, width) && ba.has_all(b, width);
  if (ab_has && (!ba_has || ab.span <= ba.span)) return ab;
  return ba_has ? ba : Arc::any(width);
}

/// An arc with all that both have. Nothing: they have nothing in common. Two separate pieces have no arc of
/// their own: the smaller of both arcs stands for them.
constexpr std::optional<Arc> meet(const Arc& a, const Arc& b, unsigned width) {
  if (a.has_all(b, width)) return b;
  if (b.has_all(a, width)) return a;
  const bool b_begins_in_a = a.has(b.first, width);
  const bool a_begins_in_b = b.has(a.first, width);
  if (b_begins_in_a && a_begins_in_b) return a.span <= b.span ? a : b;
  if (b_begins_in_a) return Arc::between(b.first, a.last(width), width);
  if (a_begins_in_b) return Arc::between(a.first, b.last(width), width);
  return std::nullopt;
}

}  // namespace pgrid::control
