// Bodies of what control says: answers, refusals, notices (abi/wire/promise-1.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/capability/why.hpp"
#include "control/promise/protocol.hpp"

namespace pgrid::control {

using Body = std::vector<std::uint8_t>;  // at most abi::kBodyMax

struct FunctionView {
  std::string name;
  std::string text;
  std::string did;      // empty: it has none
  std::string verdict;  // empty: nothing is known
  std::vector<std::uint8_t> cid;
  bool open = false;
};

struct EventView {
  std::uint64_t number = 0;
  std::uint64_t unix_ms = 0;
  std::string what;
  std::string text;
};

[[nodiscard]] Body done_body();
/// Cut to fit, at a whole character.
[[nodiscard]] Body refusal_body(std::string_view text);
/// Of random and of issue_token.
[[nodiscard]] Body bytes_body(std::span<const std::uint8_t> bytes);
/// As many as fit, from the first on; `more`: there are others behind these.
[[nodiscard]] Body discover_body(std::span<const FunctionView> functions, bool more, std::size_t size_max);
/// As many as fit, the first of them always, cut if need be. `since`: what they come after.
[[nodiscard]] Body history_body(std::span<const EventView> events, std::uint64_t since, bool more);

[[nodiscard]] Body right_died_body(std::uint64_t number, Why why);
[[nodiscard]] Body right_granted_body(std::uint64_t can, std::string_view who);

/// The longest beginning of well-formed text that has at most so many bytes and ends with a whole character;
/// what is not well-formed comes out empty.
[[nodiscard]] std::string_view cut(std::string_view text, std::size_t size_max);

}  // namespace pgrid::control
