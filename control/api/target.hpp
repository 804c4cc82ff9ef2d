// The target of a request, taken apart: path segments and query parameters, percent-decoded. Strict: a
// parameter that nobody asks for, one given twice, or a number that is not one refuses the request.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "drivers/base/result.hpp"

namespace pgrid::control {

class Target {
 public:
  [[nodiscard]] static Result<Target> parse(std::string_view text);

  [[nodiscard]] const std::vector<std::string>& path() const { return path_; }

  /// Refuses every parameter that is not among these, and one given twice unless it is `repeated`.
  [[nodiscard]] Result<void> allow(std::initializer_list<std::string_view> names,
                                   std::string_view repeated = {}) const;
  /// All values of a parameter, in the order in which they were given.
  [[nodiscard]] std::vector<std::string> texts(std::string_view name) const;
  [[nodiscard]] std::optional<std::string> text(std::string_view name) const;
  [[nodiscard]] Result<std::optional<std::uint64_t>> number(std::string_view name, std::uint64_t max) const;
  /// "1" or "0"; false when it is not there.
  [[nodiscard]] Result<bool> flag(std::string_view name) const;

 private:
  std::vector<std::string> path_;
  std::multimap<std::string, std::string, std::less<>> query_;
};

}  // namespace pgrid::control
