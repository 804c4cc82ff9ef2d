// Measures every stage of the path on the poll core, in ns per message (counters), as bench/path runs it: net_pcap played over and
// over, 1,024 frames, an echo of 64-byte bodies, one right, checksums in software, turns of four bursts.
//
//   stages/warm       the worker's part is done on the same core, untimed: every line is in this core's cache
//   stages/cold       each stage begins with cold caches (timing.hpp)
//   stages/two_cores  a thread on another core answers: what lies in rings is in its cache, as on a node
//   refused/...       what is refused after authorization (quota): the stages up to the refusal, and sending it
//   whole/two_cores   PollCore::turn itself, ns per answered message: what the stages should come to
//   idle_turn         PollCore::turn without anything to do: reading the clock, links, gauges, looking at port and rings
//
// Needs root for nothing; DPDK runs without huge pages. bench/micro/table puts it beside bench/path.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>

#include "bench/micro/path_stages.hpp"
#include "dataplane/poll_core.hpp"
#include "drivers/dpdk/device_spec.hpp"
#include "drivers/dpdk/eal.hpp"
#include "drivers/dpdk/eth_port.hpp"

namespace pgrid::bench {
namespace {

constexpr std::size_t kFrames = 1024;
constexpr std::size_t kBody = 64;
constexpr std::uint32_t kMemoryMib = 64;

dataplane::DpdkIo* g_playing = nullptr;  // made by main, which owns what is behind them
dataplane::DpdkIo* g_silent = nullptr;

/// Requests to Harness::kRight, each from another UDP port, in pcap's format.
bool write_frames(const std::filesystem::path& path) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return false;
  const std::uint32_t head[6] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1};  // version 2.4, Ethernet
  std::fwrite(head, sizeof head, 1, file);
  for (std::size_t i = 0; i < kFrames; ++i) {
    const auto request = test::MessageBuilder().to(test::Harness::kRight).body(kBody);
    const test::Bytes frame = test::PacketBuilder({})
                                  .from_port(static_cast<std::uint16_t>(10'000 + i))
                                  .payload(request.payload())
                                  .build();
    const auto length = static_cast<std::uint32_t>(frame.size());
    const std::uint32_t record[4] = {0, 0, length, length};
    std::fwrite(record, sizeof record, 1, file);
    std::fwrite(frame.data(), frame.size(), 1, file);
  }
  return std::fclose(file) == 0;
}

void write_right(test::Harness& node, std::uint32_t rate) {
  node.write_right(test::Harness::kRight, [rate](abi::RightFields& fields) {
    fields.in_flight_max = 60'000;
    fields.deadline_max_us = 1'000'000'000;  // nothing is late, whoever else has the core
    fields.rate = rate;
    fields.burst = rate;
  });
}

void report(benchmark::State& state, const PathStages& path, std::initializer_list<Part> parts) {
  for (const Part part : parts)
    state.counters[kPartNames[static_cast<std::size_t>(part)]] = path.timing(part).ns_each();
}

constexpr auto kNothing = [](Part) {};

/// Flushes what the bench knows of before a stage, then walks.
struct Cooler {
  Cold& cold;
  PathStages& path;
  test::Harness& node;
  const std::vector<abi::RingRecord>& replies;
  void operator()(Part part) const {
    if (part == Part::dispatch) Cold::flush(path.worker.rings().to_peer, abi::ring_bytes(kGeometry.request_ring));
    for (const std::byte* frame : path.frames()) Cold::flush(frame, 256);
    if (part == Part::collect || part == Part::answer)
      for (const abi::RingRecord& reply : replies) Cold::flush(reply.data, reply.length);
    for (const dataplane::InFlight* entry : path.entries()) Cold::flush(entry, sizeof *entry);
    Cold::flush(&node.slots[test::Harness::kRight.slot], sizeof(abi::RightSlot));
    Cold::flush(&node.stats.accounts(0)[test::Harness::kRight.slot], sizeof(abi::RightAccount));
    cold.walk();
  }
};

constexpr std::initializer_list<Part> kAnsweredParts = {Part::rx,      Part::parse,   Part::authorize, Part::dispatch, Part::publish,
                                                        Part::free,    Part::collect, Part::settle,    Part::answer,   Part::tx};
constexpr std::initializer_list<Part> kRefusedParts = {Part::rx, Part::parse, Part::authorize, Part::refuse, Part::free, Part::tx};

void stages_on_one_core(benchmark::State& state, bool is_cold) {
  test::Harness node(kGeometry);
  write_right(node, 0);
  PathStages path(node, *g_playing, static_cast<std::uint64_t>(ticks_per_second()));
  std::vector<abi::RingRecord> replies;
  std::optional<Cold> cold;
  if (is_cold) cold.emplace();
  const auto wait = [&](std::uint32_t wanted) {
    replies.clear();
    for (std::uint32_t taken = 0; taken < wanted;) taken += echo(path.worker, &replies);
  };
  const auto turn = [&] { return cold ? path.turn(wait, Cooler{*cold, path, node, replies}) : path.turn(wait, kNothing); };
  if (!turn()) return state.SkipWithError("a message went astray");
  path.forget();
  for (auto _ : state)
    if (!turn()) return state.SkipWithError("a message went astray");
  report(state, path, kAnsweredParts);
}
void stages_on_two_cores(benchmark::State& state) {
  const std::vector<int>& all = cpus();
  if (all.size() < 2) return state.SkipWithError("needs two CPUs, and may use one");
  test::Harness node(kGeometry);
  write_right(node, 0);
  PathStages path(node, *g_playing, static_cast<std::uint64_t>(ticks_per_second()));
  alignas(64) std::atomic<std::uint64_t> answered = 0;
  std::uint64_t expected = 0;
  const Partner worker(all[1], [&] {
    const std::uint32_t n = echo(path.worker);
    if (n == 0) return relax();
    answered.store(answered.load(std::memory_order_relaxed) + n, std::memory_order_release);
  });
  const auto wait = [&](std::uint32_t wanted) {
    expected += wanted;
    while (answered.load(std::memory_order_acquire) < expected) relax();
  };
  for (int i = 0; i < 100; ++i)
    if (!path.turn(wait, kNothing)) return state.SkipWithError("a message went astray");
  path.forget();
  for (auto _ : state)
    if (!path.turn(wait, kNothing)) return state.SkipWithError("a message went astray");
  report(state, path, kAnsweredParts);
}
BENCHMARK_CAPTURE(stages_on_one_core, warm, false)->Name("stages/warm")->Iterations(4000);
BENCHMARK_CAPTURE(stages_on_one_core, cold, true)->Name("stages/cold")->Iterations(20);
BENCHMARK(stages_on_two_cores)->Name("stages/two_cores")->Iterations(4000);

void refused(benchmark::State& state, bool is_cold) {
  test::Harness node(kGeometry);
  write_right(node, 1);
  PathStages path(node, *g_playing, static_cast<std::uint64_t>(ticks_per_second()));
  const std::vector<abi::RingRecord> none;
  std::optional<Cold> cold;
  if (is_cold) cold.emplace();
  const auto turn = [&] { return cold ? path.refuse_turn(Cooler{*cold, path, node, none}) : path.refuse_turn(kNothing); };
  (void)path.refuse_turn(kNothing);
  path.forget();
  for (auto _ : state)
    if (!turn()) return state.SkipWithError("a message was let in, or went astray");
  report(state, path, kRefusedParts);
}
BENCHMARK_CAPTURE(refused, warm, false)->Name("refused/warm")->Iterations(16000);
BENCHMARK_CAPTURE(refused, cold, true)->Name("refused/cold")->Iterations(60);

dataplane::PollCore<dataplane::DpdkIo> poll_core(test::Harness& node, const dataplane::DpdkIo& io) {
  return {dataplane::PollCoreWiring{0, kGeometry, dataplane::TickRate(static_cast<std::uint64_t>(ticks_per_second())), node.slots,
                                    node.stats, node.cells, node.signals, node.handles, dataplane::IdlePolicy::spin, 1},
          io};
}

void whole(benchmark::State& state) {
  const std::vector<int>& all = cpus();
  if (all.size() < 2) return state.SkipWithError("needs two CPUs, and may use one");
  test::Harness node(kGeometry);
  write_right(node, 0);
  auto core = poll_core(node, *g_playing);
  test::FakeWorker& worker = node.attach_worker();
  const auto count_of = [&](abi::Counter counter) {
    return node.stats.poll_core(0).counters[static_cast<std::size_t>(counter)].load();
  };
  const Partner partner(all[1], [&] {
    if (echo(worker) == 0) relax();
  });
  for (int i = 0; i < 1000; ++i) core.turn();
  const std::uint64_t answered = count_of(abi::Counter::answered);
  const std::uint64_t received = count_of(abi::Counter::rx_packets);
  constexpr int kTurns = 32;  // a sample: one turn may answer what others have received
  Timing time;
  for (auto _ : state) {
    const std::uint64_t before = count_of(abi::Counter::answered);
    const std::uint64_t began = ticks_now();
    for (int i = 0; i < kTurns; ++i) core.turn();
    time.add(began, count_of(abi::Counter::answered) - before);
  }
  const std::uint64_t n = count_of(abi::Counter::answered) - answered;
  if (n == 0) return state.SkipWithError("nothing was answered");
  state.counters["whole"] = time.ns_each();
  state.counters["received_per_answer"] =
      static_cast<double>(count_of(abi::Counter::rx_packets) - received) / static_cast<double>(n);
}
BENCHMARK(whole)->Name("whole/two_cores")->Iterations(250);

void idle_turn(benchmark::State& state) {
  test::Harness node(kGeometry);
  auto core = poll_core(node, *g_silent);
  node.attach_worker();
  Timing time;
  constexpr int kTurns = 32;
  core.turn();
  for (auto _ : state) {
    const std::uint64_t began = ticks_now();
    for (int i = 0; i < kTurns; ++i) core.turn();
    time.add(began, kTurns);
  }
  state.counters["idle_turn"] = time.ns_each();
}
BENCHMARK(idle_turn)->Iterations(3000);

/// Runs the benches over two ports: one that plays `frames` over and over, and one that receives nothing. The error, or empty.
std::string run(const std::filesystem::path& frames) {
  if (!write_frames(frames)) return "cannot write " + frames.string();
  auto eal = dpdk::Eal::init(
      {.file_prefix = "pgrid-path-bench", .huge_pages = false, .memory_mib = kMemoryMib, .telemetry = false});
  if (!eal) return eal.error().sentence();
  const auto playing_spec = dpdk::parse_device("pcap:rx=" + frames.string() + ",infinite");
  const auto silent_spec = dpdk::parse_device("pcap:rx=" + frames.string());
  if (!playing_spec || !silent_spec) return "a device that cannot be";
  const auto held = dpdk::mbufs_held_by_driver(*playing_spec, 1);
  if (!held) return held.error().sentence();
  auto rx_pool = dpdk::MbufPool::create({.name = "bench-rx", .count = dataplane::rx_mbufs(2, 1, *held), .cache = dataplane::kMempoolCache});
  if (!rx_pool) return rx_pool.error().sentence();
  auto answers = dpdk::MbufPool::create({.name = "bench-answers", .count = dataplane::answer_mbufs(2, 1), .cache = dataplane::kMempoolCache});
  if (!answers) return answers.error().sentence();
  std::vector<dpdk::EthPort> ports;
  std::vector<dataplane::DpdkIo> ios;
  for (const auto& spec : {*playing_spec, *silent_spec}) {
    auto port = dpdk::EthPort::create(spec, {.rx_descriptors = dataplane::kRxDescriptors}, *rx_pool);
    if (!port) return port.error().sentence();
    if (const auto started = port->start(); !started) return started.error().sentence();
    ports.push_back(std::move(*port));
    ios.emplace_back(*answers);
    ios.back().add_port({ports.back().rx_queue(0), ports.back().tx_queue(0), test::node_identity(), false});
  }
  // The other file is played once: now it has nothing left.
  while (!ios[1].rx_burst(0).empty()) {
  }
  g_playing = &ios[0];
  g_silent = &ios[1];
  if (const auto& all = cpus(); !all.empty()) pin_to(all[0]);
  benchmark::RunSpecifiedBenchmarks();
  return {};
}

}  // namespace
}  // namespace pgrid::bench

int main(int argc, char** argv) {
  using namespace pgrid::bench;
  (void)cpus();  // before DPDK pins this thread
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  const auto frames = std::filesystem::temp_directory_path() / ("pgrid-path-bench-" + std::to_string(::getpid()) + ".pcap");
  const std::string error = run(frames);
  std::error_code ignored;
  std::filesystem::remove(frames, ignored);
  if (!error.empty()) return std::fprintf(stderr, "path_bench: %s\n", error.c_str()), 1;
  return 0;
}
