#include "control/token/selector.hpp"

#include <algorithm>
#include <optional>

namespace pgrid::token {
namespace {

using Form = Selected::Form;

constexpr std::size_t kIndexDigits = 15;  // far more than a token has bytes

struct Segment {
  enum class Kind : std::uint8_t { field, values, index, slice } kind = Kind::field;
  std::string_view name;                 // field
  bool is_escaped = false;               // the name holds backslashes
  std::optional<std::int64_t> from, to;  // index: from
  bool is_optional = false;
};

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '$' || static_cast<unsigned char>(c) >= 0x80;
}

bool take(std::string_view& rest, char c) {
  if (!rest.starts_with(c)) return false;
  rest.remove_prefix(1);
  return true;
}

std::optional<std::int64_t> take_index(std::string_view& rest) {
  const std::string_view before = rest;
  const bool is_negative = take(rest, '-');
  std::int64_t value = 0;
  std::size_t digits = 0;
  for (; !rest.empty() && rest[0] >= '0' && rest[0] <= '9' && digits < kIndexDigits;
       rest.remove_prefix(1), ++digits)
    value = value * 10 + (rest[0] - '0');
  if (digits != 0) return is_negative ? -value : value;
  rest = before;
  return std::nullopt;
}

/// Behind "[".
bool take_part(std::string_view& rest, Segment& segment) {
  if (take(rest, '"')) {
    std::size_t end = 0;
    for (; end < rest.size() && rest[end] != '"'; ++end) {
      if (rest[end] != '\\') continue;
      segment.is_escaped = true;
      ++end;
      if (end == rest.size() || (rest[end] != '"' && rest[end] != '\\')) return false;
    }
    if (end == rest.size()) return false;
    segment.name = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    return take(rest, ']');
  }
  segment.from = take_index(rest);
  if (take(rest, ':')) {
    segment.kind = Segment::Kind::slice;
    segment.to = take_index(rest);
  } else {
    segment.kind = segment.from ? Segment::Kind::index : Segment::Kind::values;
  }
  return take(rest, ']');
}

/// Takes one segment off; false: what stands there is none.
bool take_segment(std::string_view& rest, Segment& segment) {
  const bool has_dot = take(rest, '.');
  if (take(rest, '[')) {
    if (!take_part(rest, segment)) return false;
  } else {
    const auto end = std::ranges::find_if_not(rest, is_name_character);
    segment.name = rest.substr(0, static_cast<std::size_t>(end - rest.begin()));
    if (!has_dot || segment.name.empty()) return false;
    rest.remove_prefix(segment.name.size());
  }
  while (take(rest, '?')) segment.is_optional = true;
  return true;
}

bool names(const Segment& segment, std::string_view key) {
  if (!segment.is_escaped) return segment.name == key;
  std::size_t at = 0;
  for (std::size_t i = 0; i < segment.name.size(); ++i, ++at) {
    if (segment.name[i] == '\\') ++i;
    if (at == key.size() || key[at] != segment.name[i]) return false;
  }
  return at == key.size();
}

Selected item_of(Bytes bytes) { return {.form = Form::item, .bytes = bytes}; }

/// An array, or what was made of one, as a list.
std::optional<Selected> as_list(const Selected& from, bool of_map) {
  if (from.form == Form::list) return from;
  if (from.form != Form::item) return std::nullopt;
  Cursor in(from.bytes);
  const Item head = in.next();
  if (head.kind != (of_map ? Kind::map : Kind::array)) return std::nullopt;
  return Selected{.form = Form::list, .bytes = in.rest(), .count = head.value, .is_keyed = of_map};
}

std::optional<Bytes> as_octets(const Selected& from) {
  if (from.form == Form::octets) return from.bytes;
  if (from.form != Form::item) return std::nullopt;
  const Item item = first_of(from.bytes);
  return item.kind == Kind::bytes ? std::optional(item.content) : std::nullopt;
}

Selected field(const Selected& from, const Segment& segment) {
  if (from.form != Form::item) return {};
  Cursor in(from.bytes);
  const Item head = in.next();
  if (head.kind != Kind::map) return {};
  for (std::uint64_t i = 0; i < head.value && !in.at_end(); ++i) {
    const bool is_it = names(segment, in.next().text());
    const Bytes value = in.take();
    if (is_it) return item_of(value);
  }
  return {.form = Form::null};
}

/// `index` counted from the end if it is negative; may lie outside.
std::int64_t from_start(std::int64_t index, std::uint64_t count) {
  return index < 0 ? index + static_cast<std::int64_t>(count) : index;
}

Selected at_index(const Selected& from, std::int64_t index) {
  const auto octets = as_octets(from);
  const auto list = as_list(from, false);
  const std::uint64_t count = octets ? octets->size() : list ? list->count : 0;
  const std::int64_t at = from_start(index, count);
  if (at < 0 || static_cast<std::uint64_t>(at) >= count) return {};
  if (octets) return {.form = Form::number, .number = (*octets)[static_cast<std::size_t>(at)]};
  Selected found;
  std::int64_t i = 0;
  for_each(*list, [&](Bytes element) {
    if (i++ != at) return true;
    found = item_of(element);
    return false;
  });
  return found;
}

Selected slice(const Selected& from, const Segment& segment) {
  const auto octets = as_octets(from);
  auto list = as_list(from, false);
  if (!octets && !list) return {};
  const std::uint64_t count = octets ? octets->size() : list->count;
  const auto bound = [&](const std::optional<std::int64_t>& index, std::uint64_t otherwise) {
    if (!index) return otherwise;
    return static_cast<std::uint64_t>(
        std::clamp<std::int64_t>(from_start(*index, count), 0, static_cast<std::int64_t>(count)));
  };
  const std::uint64_t begin = bound(segment.from, 0);
  const std::uint64_t end = std::max(begin, bound(segment.to, count));
  if (octets) return {.form = Form::octets, .bytes = octets->subspan(begin, end - begin)};
  Cursor in(list->bytes);
  for (std::uint64_t i = 0; i < begin && !in.at_end(); ++i) {
    if (list->is_keyed) in.take();
    in.take();
  }
  list->bytes = in.rest();
  list->count = end - begin;
  return *list;
}

Selected step(const Selected& from, const Segment& segment) {
  switch (segment.kind) {
    case Segment::Kind::field:
      return field(from, segment);
    case Segment::Kind::index:
      return at_index(from, *segment.from);
    case Segment::Kind::slice:
      return slice(from, segment);
    case Segment::Kind::values:
      if (auto list = as_list(from, false)) return *list;
      return as_list(from, true).value_or(Selected{});
  }
  return {};
}

/// `text` without the dot that stands for the whole, if it does: "." and ".[0]" begin with one, ".a" does
/// not.
bool take_start(std::string_view& text) {
  if (!text.starts_with('.')) return false;
  if (text.size() == 1) text.remove_prefix(1);
  return true;
}

}  // namespace

bool is_selector(std::string_view text) {
  if (!take_start(text)) return false;
  while (!text.empty()) {
    Segment segment;
    if (!take_segment(text, segment)) return false;
  }
  return true;
}

Selected select(std::string_view text, Bytes data) {
  Selected selected = item_of(data);
  if (!take_start(text)) return {};
  while (!text.empty()) {
    Segment segment;
    if (!take_segment(text, segment)) return {};
    selected = step(selected, segment);
    if (selected.form != Form::none) continue;
    if (!segment.is_optional) return {};
    selected.form = Form::null;
  }
  return selected;
}

}  // namespace pgrid::token
