// What a right may be given or left: options that creating, deriving and narrowing have in common.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "tools/pgrid/subcommand.hpp"

namespace pgrid::tools {

struct RightOptions {
  std::string can;
  std::optional<std::uint64_t> label, rate, burst, in_flight;
  std::uint64_t body_max = 0;     // bytes; 0: not given
  std::uint64_t deadline_us = 0;  // 0: not given
  std::uint64_t expires_us = 0;   // 0: not given

  /// `otherwise` says what holds without an option, as in "the process's".
  void add(Subcommand own, const std::string& otherwise);
  /// As the API names them (docs/API.md), those that were given.
  void put(nlohmann::json& body) const;
};

}  // namespace pgrid::tools
