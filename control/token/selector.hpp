// Which part of an invocation's arguments a statement of a policy is about: ".to[0]", ".headers[\"x\"]?"
// (UCAN delegation, "Selectors"). Read from its text at every use: no tree, no allocation.
//
//   selector = "." [name] *( "." name / "[" part "]" / "." "[" part "]" / "?" )      "?" only behind a name
//   or "]" name     = 1*( letter / digit / "_" / "-" / "$" / any character above ASCII ) part     = "" /
//   index / [index] ":" [index] / '"' *( character / '\"' / '\\' ) '"' index    = ["-"] 1*15 digits
#pragma once

#include <string_view>

#include "control/token/dag_cbor.hpp"

namespace pgrid::token {

/// What a selector leads to.
struct Selected {
  enum class Form : std::uint8_t {
    none,    // nothing: the statement is false
    null,    // a key that a map does not have, or what "?" makes of nothing
    item,    // an item of the arguments
    number,  // one byte of a byte string
    octets,  // some bytes of one
    list,    // some elements of an array, or the values of a map
  };
  Form form = Form::none;
  Bytes bytes;              // item: the item; octets: they; list: its first element, or key, and what follows
  std::uint64_t count = 0;  // list: elements
  bool is_keyed = false;    // list: a key stands before each element
  std::uint64_t number = 0;
};

[[nodiscard]] bool is_selector(std::string_view text);

/// REQUIRES: is_selector(text), and `data` one item that `check` accepted.
[[nodiscard]] Selected select(std::string_view text, Bytes data);

/// Calls `visit(element)` until it returns false, over an array's elements or a map's values. False: no
/// collection.
template <typename Visit>
bool for_each(const Selected& selected, Visit visit) {
  Cursor in(selected.bytes);
  std::uint64_t count = selected.count;
  bool is_keyed = selected.is_keyed;
  if (selected.form == Selected::Form::item) {
    const Item head = in.next();
    if (head.kind != Kind::array && head.kind != Kind::map) return false;
    count = head.value;
    is_keyed = head.kind == Kind::map;
  } else if (selected.form != Selected::Form::list) {
    return false;
  }
  for (std::uint64_t i = 0; i < count && !in.at_end(); ++i) {
    if (is_keyed) in.take();
    if (!visit(in.take())) break;
  }
  return true;
}

}  // namespace pgrid::token
