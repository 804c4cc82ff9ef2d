// Tokens on the command line: in a file, as text in place of a file's name, or "-" for stdin.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "control/token/dag_cbor.hpp"
#include "drivers/base/result.hpp"

namespace pgrid::tools {

inline constexpr std::size_t kTokenFileMax = 4u << 20;  // bytes: several of the largest that any profile takes

/// The bytes of one or more tokens.
[[nodiscard]] Result<std::string> read_tokens(const std::string& argument);

/// The text of a file of at most `size_max` bytes.
[[nodiscard]] Result<std::string> read_text(const std::string& path, std::size_t size_max);

/// Puts a line into a new file, mode 0600: a token alone opens nothing, but tells who may do what.
[[nodiscard]] Result<void> write_line(const std::string& path, const std::string& line);

[[nodiscard]] inline token::Bytes bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace pgrid::tools
