// A JSON object somebody sent, read strictly: every field is known, of its type and within its range.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "drivers/base/result.hpp"

namespace pgrid::control {

/// Take all fields, then ask `finish`: the first thing that was wrong, or an unknown field.
class ObjectReader {
 public:
  explicit ObjectReader(std::span<const std::uint8_t> text);

  [[nodiscard]] std::optional<std::string> text(const char* name);
  [[nodiscard]] std::optional<std::uint64_t> number(const char* name, std::uint64_t max);
  template <typename T>
  [[nodiscard]] std::optional<T> number(const char* name, T max) {
    const std::optional<std::uint64_t> value = number(name, std::uint64_t{max});
    if (!value) return std::nullopt;
    return static_cast<T>(*value);
  }
  [[nodiscard]] Result<void> finish();

 private:
  const nlohmann::json* take(const char* name);
  void wrong(std::string operation, std::string cause, std::string remedy);

  nlohmann::json object_;
  nlohmann::json taken_;  // the field that was asked for last
  std::string known_;
  std::optional<Error> error_;
};

}  // namespace pgrid::control
