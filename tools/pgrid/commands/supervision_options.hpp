// Options of `pgrid deploy` that say what happens when the function fails.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/pgrid/command.hpp"

namespace pgrid::tools {

class SupervisionOptions {
 public:
  void declare(Subcommand command);
  /// Query parameters of docs/API.md, for those that were given.
  void add_to(ApiRequest& request) const;

 private:
  std::optional<std::uint64_t> restarts_, give_up_;
  std::uint64_t restart_period_us_ = 0;
  std::string strategy_;
  std::pair<std::uint64_t, std::uint64_t> backoff_us_{0, 0};
  std::string group_;
  bool rest_for_one_ = false;
};

}  // namespace pgrid::tools
