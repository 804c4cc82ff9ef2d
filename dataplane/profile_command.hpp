// /pgrid/profile of the telemetry socket: where poll cores and workers spend their time, for tools/profile.
#pragma once

#include "dataplane/stats_segment.hpp"
#include "drivers/dpdk/telemetry.hpp"

namespace pgrid::dataplane {

/// `built`: 1 in a build with -Dprofile=true; else everything after it is left out. Then for `poll` and `worker`, each summed over
/// those that measure: turns, empty turns and ticks, and ticks, messages and bursts of each stage (abi/shared/stages.hpp).
void tell_profile(const StatsSegment& stats, dpdk::TelemetryDict& dict);

}  // namespace pgrid::dataplane
