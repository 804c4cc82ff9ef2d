// How a process is supervised, as docs/API.md has it: parameters of a deploy, fields of a process.
#pragma once

#include "control/api/target.hpp"
#include "control/api/views.hpp"
#include "control/process/processes.hpp"

namespace pgrid::control {

/// Takes restarts_max, restart_period_ms, strategy, backoff_min_ms, backoff_max_ms, give_up_after, group and rest_for_one.
[[nodiscard]] Result<void> read_supervision(const Target& target, DeployRequest& deploy);

/// Adds what `process` was asked to do when it fails, and what it has done so far.
void add_supervision(const Node& node, const ProcessRecord& process, Json& view);

}  // namespace pgrid::control
