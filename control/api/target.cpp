#include "control/api/target.hpp"

#include <algorithm>
#include <charconv>

namespace pgrid::control {
namespace {

std::unexpected<Error> bad(std::string operation, std::string cause, std::string remedy = {}) {
  return fail(Errc::invalid_argument, std::move(operation), std::move(cause), std::move(remedy));
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex(text[i + 2]) : -1;
    if (high < 0 || low < 0) return bad("request target", "a % that two hexadecimal digits do not follow");
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

Result<Target> Target::parse(std::string_view text) {
  Target target;
  const std::size_t question = text.find('?');
  const std::string_view path = text.substr(0, question);
  if (!path.starts_with('/')) return bad("request target", "must begin with /");
  for (const std::string_view part : split(path.substr(1), '/')) {
    Result<std::string> decoded = decode(part);
    if (!decoded) return std::unexpected(decoded.error());
    target.path_.push_back(std::move(*decoded));
  }
  if (question == std::string_view::npos || question + 1 == text.size()) return target;
  for (const std::string_view part : split(text.substr(question + 1), '&')) {
    const std::size_t equals = part.find('=');
    Result<std::string> name = decode(part.substr(0, equals));
    Result<std::string> value =
        decode(equals == std::string_view::npos ? std::string_view{} : part.substr(equals + 1));
    if (!name) return std::unexpected(name.error());
    if (!value) return std::unexpected(value.error());
    target.query_.emplace(std::move(*name), std::move(*value));
  }
  return target;
}

Result<void> Target::allow(std::initializer_list<std::string_view> names, std::string_view repeated) const {
  for (const auto& [name, value] : query_) {
    if (name != repeated && query_.count(name) > 1)
      return bad("query parameter " + name, "given twice", "give it once");
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    std::string known;
    for (const std::string_view one : names) known += (known.empty() ? "" : ", ") + std::string(one);
    return bad("query parameter \"" + name + "\"", "unknown here",
               known.empty() ? "this request takes none" : "there are: " + known);
  }
  return {};
}

std::optional<std::string> Target::text(std::string_view name) const {
  const auto found = query_.find(name);
  if (found == query_.end()) return std::nullopt;
  return found->second;
}

std::vector<std::string> Target::texts(std::string_view name) const {
  std::vector<std::string> values;
  const auto [first, end] = query_.equal_range(name);
  for (auto one = first; one != end; ++one) values.push_back(one->second);
  return values;
}

Result<std::optional<std::uint64_t>> Target::number(std::string_view name, std::uint64_t max) const {
  const std::optional<std::string> given = text(name);
  if (!given) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(given->data(), given->data() + given->size(), value);
  if (error != std::errc{} || end != given->data() + given->size() || value > max)
    return bad("query parameter " + std::string(name), "\"" + *given + "\" is not possible",
               "give a whole number up to " + std::to_string(max));
  return value;
}

Result<bool> Target::flag(std::string_view name) const {
  const std::optional<std::string> given = text(name);
  if (!given || *given == "0") return false;
  if (*given == "1") return true;
  return bad("query parameter " + std::string(name), "\"" + *given + "\" is not possible", "give 1 or 0");
}

}  // namespace pgrid::control
