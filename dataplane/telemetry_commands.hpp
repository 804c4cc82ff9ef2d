// What DPDK's telemetry socket says about the node: the same numbers as the stats
// segment, for DPDK's own tools.
#pragma once

#include <vector>

#include "dataplane/stats_segment.hpp"
#include "drivers/dpdk/telemetry.hpp"

namespace pgrid::dataplane {

/// /pgrid/counters: every counter, summed over poll cores. /pgrid/workers: state, deaths and messages of each
/// worker. The segment outlives the commands.
[[nodiscard]] Result<std::vector<dpdk::TelemetryCommand>> add_telemetry_commands(const StatsSegment& stats);

}  // namespace pgrid::dataplane
