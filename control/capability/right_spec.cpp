#include "control/capability/right_spec.hpp"

#include "abi/shared/right_table.hpp"

namespace pgrid::control {
namespace {

struct Word {
  std::string_view text;
  std::uint8_t permission;
};
constexpr Word kWords[] = {{"send", abi::kMaySend}, {"derive", abi::kMayDerive}, {"carry", abi::kMayCarry}};

}  // namespace

std::optional<std::uint8_t> parse_permissions(std::string_view text, char separator) {
  std::uint8_t permissions = 0;
  for (bool more = true; more;) {
    const std::string_view word = text.substr(0, text.find(separator));
    more = word.size() < text.size();
    text.remove_prefix(word.size() + (more ? 1 : 0));
    std::uint8_t permission = 0;
    for (const Word& one : kWords)
      if (one.text == word) permission = one.permission;
    if (permission == 0 || (permissions & permission) != 0) return std::nullopt;
    permissions |= permission;
  }
  return permissions;
}

std::string permissions_text(std::uint8_t permissions) {
  std::string text;
  for (const Word& one : kWords)
    if ((permissions & one.permission) != 0) text += (text.empty() ? "" : ",") + std::string(one.text);
  return text;
}

}  // namespace pgrid::control
