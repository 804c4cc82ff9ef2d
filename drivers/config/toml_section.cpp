#include "drivers/config/toml_section.hpp"

#include <algorithm>

#include "drivers/config/units.hpp"

namespace pgrid::config {
namespace {

std::uint32_t line_of(const toml::node& node) { return node.source().begin.line; }

std::string bounds(const std::string& min, const std::string& max) { return "from " + min + " to " + max; }

}  // namespace

void Diagnosis::wrong(std::uint32_t line, std::string cause, std::string remedy) {
  if (first_) return;
  const std::string where = line == 0 ? file_ : file_ + ':' + std::to_string(line);
  first_ = Error{Errc::invalid_argument, where, std::move(cause), std::move(remedy)};
}

Section::Section(Diagnosis& diagnosis, const toml::table* table, std::string name,
                 std::initializer_list<std::string_view> known)
    : diagnosis_(diagnosis), table_(table), name_(std::move(name)) {
  if (table_ == nullptr) return;
  for (const auto& [key, node] : *table_) {
    if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
    std::string list;
    for (const std::string_view word : known) list += (list.empty() ? "" : ", ") + std::string(word);
    diagnosis_.wrong(key.source().begin.line, "unknown key \"" + std::string(key.str()) + "\" in " + name_,
                     "it may hold: " + list);
  }
}

std::uint32_t Section::line() const { return table_ == nullptr ? 0 : line_of(*table_); }

const toml::node* Section::find(std::string_view key) const { return table_ == nullptr ? nullptr : table_->get(key); }

std::string Section::path(std::string_view key) const { return name_ + ' ' + std::string(key); }

void Section::wrong(std::uint32_t line, std::string_view key, const std::string& cause, std::string remedy) const {
  diagnosis_.wrong(line, path(key) + ": " + cause, std::move(remedy));
}

std::optional<At<std::string>> Section::text(std::string_view key) const {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (const auto* value = node->as_string()) return At<std::string>{value->get(), line_of(*node)};
  wrong(line_of(*node), key, "must be text in quotes");
  return std::nullopt;
}

std::optional<At<bool>> Section::truth(std::string_view key) const {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (const auto* value = node->as_boolean()) return At<bool>{value->get(), line_of(*node)};
  wrong(line_of(*node), key, "must be true or false");
  return std::nullopt;
}

std::optional<At<std::uint64_t>> Section::number(std::string_view key, std::uint64_t min, std::uint64_t max) const {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto* value = node->as_integer();
  if (value != nullptr && value->get() >= 0) {
    const auto number = static_cast<std::uint64_t>(value->get());
    if (number >= min && number <= max) return At<std::uint64_t>{number, line_of(*node)};
  }
  wrong(line_of(*node), key, "must be a whole number " + bounds(std::to_string(min), std::to_string(max)));
  return std::nullopt;
}

std::optional<At<std::uint64_t>> Section::size(std::string_view key, std::uint64_t min, std::uint64_t max) const {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  Result<std::uint64_t> bytes = fail(Errc::invalid_argument, "", "must be a size", "write it in quotes, as in \"4MiB\"");
  if (const auto* value = node->as_integer(); value != nullptr && value->get() >= 0)
    bytes = static_cast<std::uint64_t>(value->get());
  else if (const auto* text = node->as_string())
    bytes = parse_size(text->get());
  if (bytes && *bytes >= min && *bytes <= max) return At<std::uint64_t>{*bytes, line_of(*node)};
  if (bytes)
    wrong(line_of(*node), key, "must be " + bounds(size_text(min), size_text(max)));
  else
    wrong(line_of(*node), key, Error{{}, bytes.error().operation, bytes.error().cause, {}}.sentence(),
          bytes.error().remedy);
  return std::nullopt;
}

std::optional<At<std::uint64_t>> Section::duration_us(std::string_view key, std::uint64_t min,
                                                      std::uint64_t max) const {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  Result<std::uint64_t> us =
      fail(Errc::invalid_argument, "", "must be a duration", "write it in quotes, as in \"1ms\"");
  if (const auto* text = node->as_string()) us = parse_duration_us(text->get());
  if (us && *us >= min && *us <= max) return At<std::uint64_t>{*us, line_of(*node)};
  if (us)
    wrong(line_of(*node), key, "must be " + bounds(duration_text(min), duration_text(max)));
  else
    wrong(line_of(*node), key, Error{{}, us.error().operation, us.error().cause, {}}.sentence(), us.error().remedy);
  return std::nullopt;
}

std::optional<std::vector<At<std::string>>> Section::texts(std::string_view key) const {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  std::vector<At<std::string>> values;
  if (const auto* array = node->as_array()) {
    for (const toml::node& element : *array)
      if (const auto* value = element.as_string()) values.push_back({value->get(), line_of(element)});
    if (values.size() == array->size()) return values;
  }
  wrong(line_of(*node), key, "must be a list of texts, as in [\"192.0.2.1/24\"]");
  return std::nullopt;
}

std::optional<std::vector<At<std::uint64_t>>> Section::numbers(std::string_view key, std::uint64_t max) const {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  std::vector<At<std::uint64_t>> values;
  if (const auto* array = node->as_array()) {
    for (const toml::node& element : *array) {
      const auto* value = element.as_integer();
      if (value == nullptr || value->get() < 0 || static_cast<std::uint64_t>(value->get()) > max) break;
      values.push_back({static_cast<std::uint64_t>(value->get()), line_of(element)});
    }
    if (values.size() == array->size()) return values;
  }
  wrong(line_of(*node), key, "must be a list of whole numbers, as in [0, 1]");
  return std::nullopt;
}

}  // namespace pgrid::config
