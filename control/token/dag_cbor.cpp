#include "control/token/dag_cbor.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "control/cbor/head.hpp"
#include "control/cbor/utf8.hpp"
#include "control/token/cid.hpp"

namespace pgrid::token {
namespace {

using Head = control::CborHead;

constexpr std::uint64_t kLinkTag = 42;

/// Of major type 7.
Reason check_simple(const Head& head, bool floats) {
  if (head.info >= 25 && head.info <= 27) {
    if (!floats) return Reason::floating;
    if (head.info != 27) return Reason::non_canonical;  // floats are 64 bits wide, always
    return std::isfinite(std::bit_cast<double>(head.value)) ? Reason::valid : Reason::malformed;
  }
  const bool known = head.info == 20 || head.info == 21 || head.info == 22;  // false, true, null
  return known ? Reason::valid : Reason::malformed;
}

/// An array or a map that is being read.
struct Open {
  std::uint64_t left = 0;  // items still to come; a map's keys and values count one each
  bool is_map = false;
  Bytes last_key;  // content
};

/// Shorter keys first, then bytewise: the order of their encodings (RFC 8949, 4.2.3).
bool is_after(Bytes key, Bytes before) {
  if (key.size() != before.size()) return key.size() > before.size();
  return std::memcmp(key.data(), before.data(), key.size()) > 0;
}

}  // namespace

Check check(Bytes bytes, bool floats) {
  Open open[kNestingMax + 1];
  unsigned depth = 0;
  open[0].left = 1;
  std::size_t at = 0;
  const auto fails = [&](Reason reason) { return Check{reason, false, at}; };
  while (true) {
    while (open[depth].left == 0) {
      if (depth == 0) return at == bytes.size() ? Check{} : fails(Reason::malformed);
      --depth;
    }
    Open& in = open[depth];
    const bool is_key = in.is_map && in.left % 2 == 0;
    --in.left;
    const Head head = control::read_cbor_head(bytes.subspan(at));
    if (head.major == Head::kNone) return fails(Reason::malformed);
    if (head.info == 31)
      return fails(head.major >= 2 && head.major <= 5 ? Reason::non_canonical : Reason::malformed);
    if (is_key && head.major != 3) return fails(Reason::malformed);
    if (head.major == 7) {
      if (const Reason reason = check_simple(head, floats); reason != Reason::valid) return fails(reason);
      at += head.size;
      continue;
    }
    if (!head.is_shortest()) return fails(Reason::non_canonical);
    const std::uint64_t rest = bytes.size() - at - head.size;
    switch (head.major) {
      case 2:
      case 3: {
        if (head.value > rest) return fails(Reason::malformed);
        const Bytes content = bytes.subspan(at + head.size, head.value);
        if (head.major == 3 && !control::is_utf8({reinterpret_cast<const char*>(content.data()), content.size()})) return fails(Reason::malformed);
        if (is_key) {
          if (in.last_key.data() != nullptr && !is_after(content, in.last_key))
            return fails(Reason::non_canonical);
          in.last_key = content;
        }
        at += head.size + head.value;
        break;
      }
      case 4:
      case 5: {
        // Every element takes a byte at least: no count that is a lie gets further than this.
        if (head.value > rest / (head.major == 5 ? 2 : 1)) return fails(Reason::malformed);
        if (depth == kNestingMax) return {Reason::malformed, true, at};
        open[++depth] = {
            .left = head.major == 5 ? head.value * 2 : head.value, .is_map = head.major == 5, .last_key = {}};
        at += head.size;
        break;
      }
      case 6: {
        if (head.value != kLinkTag) return fails(Reason::malformed);
        const std::size_t inner = at + head.size;
        const Head string = control::read_cbor_head(bytes.subspan(inner));
        if (string.major == 2 && string.info == 31) return fails(Reason::non_canonical);
        if (string.major != 2) return fails(Reason::malformed);
        if (!string.is_shortest()) return fails(Reason::non_canonical);
        if (string.value > bytes.size() - inner - string.size) return fails(Reason::malformed);
        const Bytes content = bytes.subspan(inner + string.size, string.value);
        if (content.empty() || content[0] != 0 || !is_cid(content.subspan(1)))
          return fails(Reason::malformed);
        at = inner + string.size + string.value;
        break;
      }
      default:
        at += head.size;  // integers
    }
  }
}

Item Cursor::next() {
  Item item;
  const auto fail = [&] {
    rest_ = {};
    return Item{};
  };
  const Head head = control::read_cbor_head(rest_);
  if (head.major == Head::kNone || head.info == 31) return fail();
  rest_ = rest_.subspan(head.size);
  item.value = head.value;
  switch (head.major) {
    case 0:
      item.kind = Kind::uint;
      return item;
    case 1:
      item.kind = Kind::nint;
      return item;
    case 2:
    case 3:
      if (head.value > rest_.size()) return fail();
      item.kind = head.major == 2 ? Kind::bytes : Kind::text;
      item.content = rest_.first(head.value);
      rest_ = rest_.subspan(head.value);
      return item;
    case 4:
      item.kind = Kind::array;
      return item;
    case 5:
      item.kind = Kind::map;
      return item;
    case 6: {
      const Head string = control::read_cbor_head(rest_);
      if (string.major != 2 || string.info == 31 || string.value == 0 ||
          string.value > rest_.size() - string.size)
        return fail();
      item.kind = Kind::link;
      item.content = rest_.subspan(string.size + 1, string.value - 1);
      rest_ = rest_.subspan(string.size + string.value);
      return item;
    }
    default:
      break;
  }
  if (head.info == 27) return {.kind = Kind::floating, .number = std::bit_cast<double>(head.value)};
  if (head.info == 20 || head.info == 21) return {.kind = Kind::boolean, .value = head.info - 20};
  if (head.info == 22) return {.kind = Kind::null};
  return fail();
}

Bytes Cursor::take() {
  const Bytes before = rest_;
  // Each step takes a byte at least, so counts that lie end with the bytes.
  for (std::uint64_t left = 1; left != 0; --left) {
    const Item item = next();
    if (item.kind == Kind::none) break;
    if (item.kind == Kind::array || item.kind == Kind::map) {
      const std::uint64_t items = std::min<std::uint64_t>(item.value, rest_.size());
      left += item.kind == Kind::map ? items * 2 : items;
    }
  }
  return before.first(before.size() - rest_.size());
}

Bytes find(Bytes map, std::string_view key) {
  Cursor in(map);
  const Item head = in.next();
  if (head.kind != Kind::map) return {};
  for (std::uint64_t i = 0; i < head.value && !in.at_end(); ++i) {
    const Item one = in.next();
    if (one.kind == Kind::text && one.text() == key) return in.take();
    in.take();
  }
  return {};
}

int compare_numbers(const Item& left, const Item& right) {
  if (left.kind == right.kind && left.kind != Kind::floating) {
    const int order = left.value < right.value ? -1 : left.value > right.value ? 1 : 0;
    return left.kind == Kind::nint ? -order : order;
  }
  // A long double holds every 64-bit integer and every double exactly, wherever its significand has 64 bits
  // or more.
  static_assert(std::numeric_limits<long double>::digits >= 64);
  const auto wide = [](const Item& item) -> long double {
    if (item.kind == Kind::floating) return item.number;
    const auto value = static_cast<long double>(item.value);
    return item.kind == Kind::uint ? value : -1.0L - value;
  };
  const long double a = wide(left);
  const long double b = wide(right);
  return a < b ? -1 : a > b ? 1 : 0;
}

bool equal(Bytes left, Bytes right) {
  if (left.size() == right.size() && std::memcmp(left.data(), right.data(), left.size()) == 0) return true;
  // Canonical items that differ as bytes are equal only if they differ in how numbers are written.
  Cursor a(left);
  Cursor b(right);
  while (!a.at_end() && !b.at_end()) {
    const Item x = a.next();
    const Item y = b.next();
    if (x.kind == Kind::none || y.kind == Kind::none) return false;
    if (is_number(x) && is_number(y)) {
      if (compare_numbers(x, y) != 0) return false;
      continue;
    }
    if (x.kind != y.kind || x.value != y.value || !std::ranges::equal(x.content, y.content)) return false;
  }
  return a.at_end() && b.at_end();
}

}  // namespace pgrid::token
