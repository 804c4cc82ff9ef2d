// A verdict (control/code/verdict.hpp) for people.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace pgrid::tools {

/// Label and text of each line.
using Lines = std::vector<std::pair<std::string, std::string>>;

/// What is proved of each entry point, or why it is not.
[[nodiscard]] Lines termination_lines(const nlohmann::json& verdict);
/// The same, after what the module is made of.
[[nodiscard]] Lines verdict_lines(const nlohmann::json& verdict);
/// What follows from it: one sentence.
[[nodiscard]] std::string promise_text(const nlohmann::json& verdict);

}  // namespace pgrid::tools
