#include "dataplane/telemetry_commands.hpp"

#include <string>

#include "dataplane/profile_command.hpp"

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
    dict.add((prefix + "loss").c_str(), status.loss.load(relaxed));
    dict.add((prefix + "processes").c_str(), status.processes.load(relaxed));
    dict.add((prefix + "handled").c_str(), status.handled.load(relaxed));
    dict.add((prefix + "rebuilds").c_str(), status.rebuilds.load(relaxed));
  }
}

/// One entry per bucket that counted something, named by the smallest latency in it.
void tell_latency(const StatsSegment& stats, dpdk::TelemetryDict& dict) {
  for (std::uint32_t bucket = 0; bucket < abi::kLatencyBuckets; ++bucket) {
    std::uint64_t sum = 0;
    for (std::uint32_t core = 0; core < stats.geometry().poll_cores; ++core)
      sum += stats.poll_core(core).latency[bucket].load(std::memory_order_relaxed);
    if (sum != 0)
      dict.add(("from_" + std::to_string(abi::latency_bucket_floor(bucket)) + "_ns").c_str(), sum);
  }
}

void tell_bursts(const StatsSegment& stats, dpdk::TelemetryDict& dict) {
  for (std::uint32_t size = 0; size <= abi::kBurst; ++size) {
    std::uint64_t sum = 0;
    for (std::uint32_t core = 0; core < stats.geometry().poll_cores; ++core)
      sum += stats.poll_core(core).burst_sizes[size].load(std::memory_order_relaxed);
    dict.add(("packets_" + std::to_string(size)).c_str(), sum);
  }
}

struct Command {
  const char* name;
  const char* help;
  void (*tell)(const StatsSegment&, dpdk::TelemetryDict&);
};
// DPDK's limit of 256 entries to a dictionary holds for each: 160 buckets are the most.
constexpr Command kCommands[] = {
    {"/pgrid/counters", "Every counter of the node, summed over poll cores", &tell_counters},
    {"/pgrid/workers", "State, deaths and messages of each worker", &tell_workers},
    {"/pgrid/latency", "From dispatch to collect: messages per bucket of nanoseconds", &tell_latency},
    {"/pgrid/bursts", "Receive bursts by the number of packets in them", &tell_bursts},
    {"/pgrid/profile", "Ticks of each stage of poll cores and workers, in a build that measures them", &tell_profile},
};
static_assert(abi::kCounterCount <= 256 && abi::kLatencyBuckets <= 256);

}  // namespace

Result<std::vector<dpdk::TelemetryCommand>> add_telemetry_commands(const StatsSegment& stats) {
  std::vector<dpdk::TelemetryCommand> commands;
  for (const Command& command : kCommands) {
    auto added = dpdk::TelemetryCommand::add(
        command.name, command.help,
        [stats, tell = command.tell](dpdk::TelemetryDict& dict) { tell(stats, dict); });
    if (!added) return std::unexpected(added.error());
    commands.push_back(std::move(*added));
  }
  return commands;
}

}  // namespace pgrid::dataplane
