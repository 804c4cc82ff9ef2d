// What a process does, as people see it: shared by ls and inspect.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace pgrid::tools {

/// "running", "backing off 250ms", "gave up: why", "failed: why", "loading", "worker 1 is down; ...".
[[nodiscard]] std::string state_text(const nlohmann::json& process);

/// "5, at most 100 in 1s; the last 2026-11-21 12:00:00 UTC: trap".
[[nodiscard]] std::string restarts_text(const nlohmann::json& process);

/// "restart on-failure, back-off 10ms to 1s, gives up after 8 pauses without a message handled; group web".
[[nodiscard]] std::string supervision_text(const nlohmann::json& process);

/// "trap 12, handle 3; the last 2026-11-21 12:00:00 UTC: trap: unreachable code reached".
[[nodiscard]] std::string violations_text(const nlohmann::json& process);

/// At most so many bytes, an ellipsis where something was cut; never half a character.
[[nodiscard]] std::string clipped(std::string text, std::size_t most);

}  // namespace pgrid::tools
