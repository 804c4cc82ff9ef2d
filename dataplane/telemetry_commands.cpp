#include "dataplane/telemetry_commands.hpp"

#include <string>

namespace pgrid::dataplane {
namespace {

void tell_counters(const StatsSegment& stats, dpdk::TelemetryDict& dict) {
  for (std::size_t i = 0; i < abi::kCounterCount; ++i) {
    std::uint64_t sum = 0;
    for (std::uint32_t core = 0; core < stats.geometry().poll_cores; ++core)
      sum += stats.poll_core(core).counters[i].load(std::memory_order_relaxed);
    dict.add(std::string(abi::kCounterInfo[i].name).c_str(), sum);
  }
}

void tell_workers(const StatsSegment& stats, dpdk::TelemetryDict& dict) {
  constexpr auto relaxed = std::memory_order_relaxed;
  for (std::uint32_t w = 0; w < stats.geometry().workers; ++w) {
    const abi::WorkerStatus& status = stats.worker(w);
    const std::string prefix = "worker" + std::to_string(w) + "_";
    dict.add((prefix + "state").c_str(), status.state.load(relaxed));
    dict.add((prefix + "pid").c_str(), status.pid.load(relaxed));
    dict.add((prefix + "deaths").c_str(), status.deaths.load(relaxed));
    dict.add((prefix + "processes").c_str(), status.processes.load(relaxed));
    dict.add((prefix + "handled").c_str(), status.handled.load(relaxed));
    dict.add((prefix + "rebuilds").c_str(), status.rebuilds.load(relaxed));
  }
}

}  // namespace

Result<std::vector<dpdk::TelemetryCommand>> add_telemetry_commands(const StatsSegment& stats) {
  std::vector<dpdk::TelemetryCommand> commands;
  auto counters =
      dpdk::TelemetryCommand::add("/pgrid/counters", "Every counter of the node, summed over poll cores",
                                  [stats](dpdk::TelemetryDict& dict) { tell_counters(stats, dict); });
  if (!counters) return std::unexpected(counters.error());
  commands.push_back(std::move(*counters));
  auto workers =
      dpdk::TelemetryCommand::add("/pgrid/workers", "State, deaths and messages of each worker",
                                  [stats](dpdk::TelemetryDict& dict) { tell_workers(stats, dict); });
  if (!workers) return std::unexpected(workers.error());
  commands.push_back(std::move(*workers));
  return commands;
}

}  // namespace pgrid::dataplane
