// One table of node.toml, read key by key. Internal to drivers/config.
#pragma once

#define TOML_HEADER_ONLY 1  // Debian's shared library is built with exceptions; we read without
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "drivers/base/result.hpp"

namespace pgrid::config {

/// Keeps the first thing that is wrong with a file. Reading goes on after it, with defaults, and is thrown away.
class Diagnosis {
 public:
  explicit Diagnosis(std::string file) : file_(std::move(file)) {}

  /// `line` 0: the file as a whole.
  void wrong(std::uint32_t line, std::string cause, std::string remedy = {});
  [[nodiscard]] const std::optional<Error>& first() const { return first_; }

 private:
  std::string file_;
  std::optional<Error> first_;
};

/// A value and where it stands.
template <typename T>
struct At {
  T value;
  std::uint32_t line;
};

/// Borrows the parsed file. Every getter gives nothing when the key is missing, and nothing plus an entry in the diagnosis
/// when its value is of another type.
class Section {
 public:
  /// `name` as people write it: "[limits]". Keys other than `known` are wrong.
  Section(Diagnosis& diagnosis, const toml::table* table, std::string name,
          std::initializer_list<std::string_view> known);

  [[nodiscard]] std::uint32_t line() const;
  [[nodiscard]] std::optional<At<std::string>> text(std::string_view key) const;
  [[nodiscard]] std::optional<At<bool>> truth(std::string_view key) const;
  /// A whole number within bounds.
  [[nodiscard]] std::optional<At<std::uint64_t>> number(std::string_view key, std::uint64_t min, std::uint64_t max) const;
  /// Bytes ("4MiB", or a whole number) within bounds.
  [[nodiscard]] std::optional<At<std::uint64_t>> size(std::string_view key, std::uint64_t min, std::uint64_t max) const;
  /// Microseconds ("1ms") within bounds.
  [[nodiscard]] std::optional<At<std::uint64_t>> duration_us(std::string_view key, std::uint64_t min,
                                                             std::uint64_t max) const;
  [[nodiscard]] std::optional<std::vector<At<std::string>>> texts(std::string_view key) const;
  [[nodiscard]] std::optional<std::vector<At<std::uint64_t>>> numbers(std::string_view key, std::uint64_t max) const;

  void wrong(std::uint32_t line, std::string_view key, const std::string& cause, std::string remedy = {}) const;

 private:
  const toml::node* find(std::string_view key) const;
  std::string path(std::string_view key) const;

  Diagnosis& diagnosis_;
  const toml::table* table_;  // nullptr: the table is not in the file
  std::string name_;
};

}  // namespace pgrid::config
