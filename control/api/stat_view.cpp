// Stat: the data plane's counters, summed and put into words. Read word by word while poll cores count on.
#include <unistd.h>

#include <algorithm>
#include <array>

#include "abi/shared/books.hpp"
#include "control/api/resident.hpp"
#include "control/api/views.hpp"

namespace pgrid::control {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// A process in the data plane: its generation, then a word for each right that it may hold.
constexpr std::uint64_t kHandleLineBytes = (1 + abi::kGrantsMax) * sizeof(std::uint64_t);
using Counters = std::array<std::uint64_t, abi::kCounterCount>;

Json counters_view(const Counters& counters) {
  Json view = Json::object();
  for (std::size_t i = 0; i < counters.size(); ++i)
    view[std::string(abi::kCounterInfo[i].name)] = counters[i];
  return view;
}

/// What control did for functions since it started: see PromiseCounts.
Json promises_view(const PromiseCounts& counts) {
  return {{"requests", counts.requests},
          {"done", counts.done},
          {"refused", counts.refused},
          {"malformed", counts.malformed},
          {"strangers", counts.strangers},
          {"undelivered", counts.undelivered},
          {"unsaid", counts.unsaid},
          {"notices", counts.notices}};
}

Json books_view(const Counters& counters, std::uint64_t in_flight) {
  const abi::Books books =
      abi::books_of([&](abi::Counter c) { return counters[static_cast<std::size_t>(c)]; }, in_flight);
  return {{"received", books.received},
          {"ended", books.ended},
          {"dispatched", books.dispatched},
          {"settled", books.settled},
          {"balanced", books.balanced()}};
}

/// Upper edge of the bucket that holds the given share of all latencies: at most 25 % above the truth, never
/// below.
Json latency_view(const abi::PollCoreStats& core) {
  std::array<std::uint64_t, abi::kLatencyBuckets> buckets{};
  std::uint64_t count = 0;
  std::uint32_t last = 0;
  for (std::uint32_t i = 0; i < buckets.size(); ++i) {
    buckets[i] = core.latency[i].load(kRelaxed);
    count += buckets[i];
    if (buckets[i] != 0) last = i;
  }
  const auto upper_edge = [](std::uint32_t bucket) {
    return bucket + 1 < abi::kLatencyBuckets ? abi::latency_bucket_floor(bucket + 1) - 1
                                             : abi::latency_bucket_floor(bucket);
  };
  const auto percentile = [&](std::uint64_t per_mille) -> std::uint64_t {
    if (count == 0) return 0;
    const std::uint64_t rank = std::max<std::uint64_t>(1, (count * per_mille + 999) / 1000);
    std::uint64_t passed = 0;
    for (std::uint32_t i = 0; i < buckets.size(); ++i)
      if ((passed += buckets[i]) >= rank) return upper_edge(i);
    return upper_edge(last);
  };
  return {{"count", count},         {"p50", percentile(500)},  {"p90", percentile(900)},
          {"p99", percentile(990)}, {"p999", percentile(999)}, {"max", count == 0 ? 0 : upper_edge(last)}};
}

const char* worker_state_name(std::uint32_t state) {
  constexpr const char* names[] = {"absent", "starting", "serving", "lost"};
  return state < 4 ? names[state] : "absent";
}

/// What the node's memory goes to. Tables are counted as laid out, programs as the kernel counts them.
Json memory_view(const Node& node, const Segments& segments) {
  const abi::Geometry& g = segments.geometry();
  std::uint64_t instances = 0;
  std::uint64_t workers = 0;
  for (std::uint32_t i = 0; i < g.workers; ++i) {
    instances += segments.worker(i).instances.load(kRelaxed);
    workers += resident_bytes(segments.worker(i).pid.load(kRelaxed));
  }
  return {{"rights", node.state().rights().size()},
          {"rights_max", g.rights},
          {"right_bytes", sizeof(abi::RightSlot) + g.poll_cores * sizeof(abi::RightAccount)},
          {"processes", node.state().processes().size()},
          {"process_bytes", kHandleLineBytes},
          {"instances", instances},
          {"instance_bytes", instances == 0 ? 0 : workers / instances},
          {"dataplane_resident_bytes", resident_bytes(node.dataplane_pid())},
          {"workers_resident_bytes", workers},
          {"control_resident_bytes", resident_bytes(static_cast<std::uint32_t>(::getpid()))}};
}

}  // namespace

Json stat_view(const Node& node) {
  const Segments& segments = *node.segments();
  Counters totals{};
  std::uint64_t in_flight = 0;
  Json poll_cores = Json::array();
  for (std::uint32_t i = 0; i < segments.geometry().poll_cores; ++i) {
    const abi::PollCoreStats& core = segments.poll_core(i);
    Counters own{};
    for (std::size_t c = 0; c < own.size(); ++c) totals[c] += own[c] = core.counters[c].load(kRelaxed);
    const std::uint64_t core_in_flight = core.in_flight.load(kRelaxed);
    in_flight += core_in_flight;
    Json bursts = Json::array();
    for (std::uint32_t n = 0; n <= abi::kBurst; ++n) bursts.push_back(core.burst_sizes[n].load(kRelaxed));
    poll_cores.push_back({{"poll_core", i},
                          {"turns", core.turns.load(kRelaxed)},
                          {"idle_turns", core.idle_turns.load(kRelaxed)},
                          {"sleeps", core.sleeps.load(kRelaxed)},
                          {"in_flight", core_in_flight},
                          {"counters", counters_view(own)},
                          {"burst_sizes", std::move(bursts)},
                          {"latency_ns", latency_view(core)}});
  }
  const abi::NodeGauges& g = segments.gauges();
  Json workers = Json::array();
  for (std::uint32_t i = 0; i < segments.geometry().workers; ++i) {
    const abi::WorkerStatus& w = segments.worker(i);
    workers.push_back({{"worker", i},
                       {"state", worker_state_name(w.state.load(kRelaxed))},
                       {"pid", w.pid.load(kRelaxed)},
                       {"incarnation", w.incarnation.load(kRelaxed)},
                       {"deaths", w.deaths.load(kRelaxed)},
                       {"loss", abi::name_of(static_cast<abi::WorkerLoss>(w.loss.load(kRelaxed)))},
                       {"processes", w.processes.load(kRelaxed)},
                       {"handled", w.handled.load(kRelaxed)},
                       {"rebuilds", w.rebuilds.load(kRelaxed)},
                       {"instances", w.instances.load(kRelaxed)},
                       {"resident_bytes", resident_bytes(w.pid.load(kRelaxed))},
                       {"heartbeat", w.heartbeat.load(kRelaxed)}});
  }
  return {{"totals", counters_view(totals)},
          {"in_flight", in_flight},
          {"books", books_view(totals, in_flight)},
          {"gauges",
           {{"mbufs_total", g.mbufs_total.load(kRelaxed)},
            {"mbufs_in_use", g.mbufs_in_use.load(kRelaxed)},
            {"huge_pages", g.huge_pages.load(kRelaxed)},
            {"stopping", g.stopping.load(kRelaxed)},
            {"control_attached", g.control_attached.load(kRelaxed)},
            {"plaintext", g.plaintext.load(kRelaxed)},
            {"started_unix_ns", g.started_unix_ns.load(kRelaxed)}}},
          {"promises", promises_view(node.promises().counts())},
          {"memory", memory_view(node, segments)},
          {"poll_cores", std::move(poll_cores)},
          {"workers", std::move(workers)}};
}

}  // namespace pgrid::control
