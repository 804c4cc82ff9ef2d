// DAG-CBOR as received: checked once in place, then walked over without copies. Strict: an item has one
// encoding only, so what was signed is what is read. Sources: RFC 8949, ipld.io/specs/codecs/dag-cbor/spec.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "control/token/reason.hpp"

namespace pgrid::token {

using Bytes = std::span<const std::uint8_t>;

enum class Kind : std::uint8_t {
  none,  // the end, or what `check` would not have accepted
  uint,
  nint,  // -1 - value
  bytes,
  text,
  array,
  map,
  link,  // a CID
  boolean,
  null,
  floating,
};

/// One item. Of a string the content, of a link the CID; of an array or a map only how many items or pairs
/// follow.
struct Item {
  Kind kind = Kind::none;
  std::uint64_t value = 0;  // number, count, or 0 and 1 for false and true
  double number = 0;        // floating
  Bytes content;            // bytes, text, link

  [[nodiscard]] std::string_view text() const {
    return {reinterpret_cast<const char*>(content.data()), content.size()};
  }
};

inline constexpr unsigned kNestingMax =
    128;  // arrays, maps and links within one another: the stack of `check`

struct Check {
  Reason reason = Reason::valid;  // valid, malformed, non_canonical, floating
  bool is_too_deep = false;       // malformed for that alone
  std::size_t at = 0;             // offset of what is wrong
};

/// Whether `bytes` is exactly one canonical item. Allocates nothing, and time grows with the length only.
/// With `floats` false any floating-point number is refused as such, whatever its width.
[[nodiscard]] Check check(Bytes bytes, bool floats);

/// Walks over what `check` accepted. Other bytes give Kind::none at the latest at their end, never a read
/// beyond.
class Cursor {
 public:
  Cursor() = default;
  explicit Cursor(Bytes bytes) : rest_(bytes) {}

  /// The next item. After that of an array or a map its first element comes next.
  [[nodiscard]] Item next();
  /// Passes over the next item with everything in it, and gives its bytes.
  Bytes take();
  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] Bytes rest() const { return rest_; }

 private:
  Bytes rest_;
};

/// The one item that `bytes` begins with.
[[nodiscard]] inline Item first_of(Bytes bytes) { return Cursor(bytes).next(); }

/// The value under `key` of a map, or nothing.
[[nodiscard]] Bytes find(Bytes map, std::string_view key);

/// Whether two items say the same: as bytes, but that 1 and 1.0 are equal (UCAN delegation, "Comparisons").
[[nodiscard]] bool equal(Bytes left, Bytes right);

/// Both numbers: below 0, 0 or above 0 as left is less, equal or greater.
[[nodiscard]] int compare_numbers(const Item& left, const Item& right);
[[nodiscard]] inline bool is_number(const Item& item) {
  return item.kind == Kind::uint || item.kind == Kind::nint || item.kind == Kind::floating;
}

}  // namespace pgrid::token
