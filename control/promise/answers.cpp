#include "control/promise/answers.hpp"

#include "abi/shared/geometry.hpp"
#include "control/cbor/cbor.hpp"
#include "control/cbor/utf8.hpp"

namespace pgrid::control {
namespace {

constexpr std::size_t kListHead = 16;       // bytes, at most, of an answer around its list
constexpr std::size_t kEventTextMax = 512;  // bytes

CborWriter& key(CborWriter& out, Field one) { return out.number(static_cast<std::uint64_t>(one)); }

CborWriter function_item(const FunctionView& function) {
  CborWriter out;
  out.map(4 + (function.did.empty() ? 0 : 1) + (function.verdict.empty() ? 0 : 1));
  if (!function.did.empty()) key(out, Field::who).text(function.did);
  key(out, Field::text).text(cut(function.text, kTextMax));
  key(out, Field::open).boolean(function.open);
  key(out, Field::name).text(function.name);
  key(out, Field::cid).bytes(function.cid);
  if (!function.verdict.empty()) key(out, Field::verdict).text(cut(function.verdict, kTextMax));
  return out;
}

CborWriter event_item(const EventView& event) {
  CborWriter out;
  out.array(4)
      .number(event.number)
      .number(event.unix_ms)
      .text(event.what)
      .text(cut(event.text, kEventTextMax));
  return out;
}

}  // namespace

Body done_body() { return CborWriter().map(0).take(); }

Body refusal_body(std::string_view text) {
  CborWriter out;
  out.map(1);
  return key(out, Field::text).text(cut(text, kTextMax)).take();
}

Body bytes_body(std::span<const std::uint8_t> bytes) {
  CborWriter out;
  out.map(1);
  return key(out, Field::bytes).bytes(bytes).take();
}

Body discover_body(std::span<const FunctionView> functions, bool more, std::size_t size_max) {
  CborWriter items;
  std::size_t taken = 0;
  for (const FunctionView& function : functions) {
    const CborWriter item = function_item(function);
    if (kListHead + items.size() + item.size() > size_max) break;
    items.append(item);
    ++taken;
  }
  more = more || taken < functions.size();
  CborWriter out;
  out.map(more ? 2 : 1);
  if (more) key(out, Field::more).boolean(true);
  key(out, Field::list).array(taken).append(items);
  return out.take();
}

Body history_body(std::span<const EventView> events, std::uint64_t since, bool more) {
  CborWriter items;
  std::size_t taken = 0;
  for (const EventView& event : events) {
    const CborWriter item = event_item(event);
    if (kListHead + items.size() + item.size() > abi::kBodyMax) break;
    items.append(item);
    since = event.number;
    ++taken;
  }
  more = more || taken < events.size();
  CborWriter out;
  out.map(more ? 3 : 2);
  key(out, Field::since).number(since);
  if (more) key(out, Field::more).boolean(true);
  key(out, Field::list).array(taken).append(items);
  return out.take();
}

Body right_died_body(std::uint64_t number, Why why) {
  CborWriter out;
  out.map(3);
  key(out, Field::op).number(static_cast<std::uint64_t>(NoticeOp::right_died));
  key(out, Field::number).number(number);
  return key(out, Field::why).number(static_cast<std::uint64_t>(why)).take();
}

Body right_granted_body(std::uint64_t can, std::string_view who) {
  CborWriter out;
  out.map(3);
  key(out, Field::op).number(static_cast<std::uint64_t>(NoticeOp::right_granted));
  key(out, Field::can).number(can);
  return key(out, Field::who).text(who).take();
}

std::string_view cut(std::string_view text, std::size_t size_max) {
  std::string_view beginning = text.substr(0, size_max);
  for (int back = 0; back < 4 && !is_utf8(beginning); ++back) {  // a character has at most four bytes
    if (beginning.empty()) break;
    beginning.remove_suffix(1);
  }
  return is_utf8(beginning) ? beginning : std::string_view{};
}

}  // namespace pgrid::control
