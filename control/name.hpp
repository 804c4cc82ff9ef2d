// What processes and the rights that they hold are called.
#pragma once

#include <algorithm>
#include <string_view>

namespace pgrid::control {

inline constexpr std::size_t kNameMax = 63;

/// [a-z0-9-]{1,63}: safe in a path, a shell and a table.
[[nodiscard]] inline bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameMax && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

}  // namespace pgrid::control
