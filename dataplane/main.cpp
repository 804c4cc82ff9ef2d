// pgrid-dataplane: wiring only. Members are made in the order in which they need each
// other, and go in reverse.
//
//   main thread   EAL main lcore; serves the hand-over socket (handover.hpp) until SIGTERM
//   poll cores    one EAL worker lcore each, running PollCore::run
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include "abi/shared/books.hpp"
#include "dataplane/dpdk_io.hpp"
#include "dataplane/handover.hpp"
#include "dataplane/idle_policy.hpp"
#include "dataplane/limits.hpp"
#include "dataplane/poll_core.hpp"
#include "dataplane/ports.hpp"
#include "dataplane/segments.hpp"
#include "dataplane/telemetry_commands.hpp"
#include "drivers/config/node_config.hpp"
#include "drivers/dpdk/eal.hpp"
#include "drivers/dpdk/lcore.hpp"
#include "drivers/dpdk/tsc.hpp"

namespace pgrid::dataplane {

extern template class PollCore<DpdkIo>;

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kStepMs = 10;  // the longest that SIGTERM or a gauge waits for the main thread

volatile sig_atomic_t g_stop_asked = 0;

struct Arguments {
  std::filesystem::path config;
  std::filesystem::path node;
};

Result<Arguments> parse_arguments(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    std::filesystem::path* value = name == "--config" ? &arguments.config
                                   : name == "--node" ? &arguments.node
                                                      : nullptr;
    if (value == nullptr || i + 1 == argc)
      return fail(Errc::invalid_argument, std::string(name),
                  value == nullptr ? "no such argument" : "needs a value",
                  "usage: pgrid-dataplane --config FILE [--node DIR]");
    *value = argv[++i];
  }
  if (arguments.config.empty())
    return fail(Errc::invalid_argument, "--config", "missing",
                "usage: pgrid-dataplane --config FILE [--node DIR]");
  return arguments;
}

/// Every kept process is a descriptor here, and one more while it is on its way to a worker.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

void listen_to_signals() {
  struct sigaction action{};
  action.sa_handler = [](int) { g_stop_asked = 1; };
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
}

/// Bytes of all that DPDK allocates, in MiB: the pools, and what drivers take for queues and themselves.
std::uint32_t eal_memory_mib(const dpdk::MbufPoolOptions& rx, const dpdk::MbufPoolOptions& answers,
                             std::uint32_t ports) {
  constexpr std::size_t kMiB = 1u << 20;
  std::size_t bytes = 0;
  bytes += dpdk::memory_of(rx);
  bytes += dpdk::memory_of(answers);
  bytes += 2 * kMiB * ports;  // queues and private data
  bytes += 8 * kMiB;          // EAL's own, and what a heap loses to its segments
  return static_cast<std::uint32_t>((bytes + kMiB - 1) / kMiB);
}

/// Random bytes for boot id, generations and seeds; the kernel's, never predictable.
template <typename T>
Result<T> random_value() {
  T value{};
  if (::getrandom(&value, sizeof value, 0) != static_cast<ssize_t>(sizeof value))
    return fail_errno("read random bytes", errno);
  return value;
}

/// After SIGTERM: nothing new is taken, what is in flight may still be answered, but not for ever.
void drain(Handover& handover, const StatsSegment& stats, NodeSignals& signals) {
  const std::uint32_t nb_cores = stats.geometry().poll_cores;
  const auto until = Clock::now() + std::chrono::microseconds(kDrainMaxUs);
  signals.phase.store(Phase::draining, std::memory_order_seq_cst);
  stats.gauges().stopping.store(1, std::memory_order_relaxed);

  // A poll core that is off its CPU has not seen the word yet, and its sum of in-flight messages is an old one. The first
  // turn that ends from now on may have begun before; the second has seen it.
  std::array<std::uint64_t, abi::kPollCoresMax> turns{};
  for (std::uint32_t core = 0; core < nb_cores; ++core) turns[core] = stats.poll_core(core).turns.load();
  const auto is_drained = [&] {
    for (std::uint32_t core = 0; core < nb_cores; ++core) {
      const abi::PollCoreStats& seen = stats.poll_core(core);
      if (seen.turns.load(std::memory_order_acquire) - turns[core] < 2 || seen.in_flight.load() != 0) return false;
    }
    return true;
  };
  while (!is_drained() && Clock::now() < until) handover.step(1);
  signals.phase.store(Phase::stopping, std::memory_order_relaxed);
}

/// The last word: what came of everything that came in. Nobody counts any more, so the books must balance.
void report_books(const StatsSegment& stats) {
  std::uint64_t in_flight = 0;
  for (std::uint32_t core = 0; core < stats.geometry().poll_cores; ++core)
    in_flight += stats.poll_core(core).in_flight.load();
  const auto total_of = [&stats](abi::Counter counter) {
    std::uint64_t sum = 0;
    for (std::uint32_t core = 0; core < stats.geometry().poll_cores; ++core)
      sum += stats.poll_core(core).counters[static_cast<std::size_t>(counter)].load();
    return sum;
  };
  const abi::Books books = abi::books_of(total_of, in_flight);
  std::fprintf(stderr, "pgrid-dataplane: %sstopped: %llu received, %llu answered, %llu unaccounted\n",
               books.balanced() ? "" : "warning: the books do not balance; ",
               static_cast<unsigned long long>(books.received),
               static_cast<unsigned long long>(total_of(abi::Counter::answered)),
               static_cast<unsigned long long>(books.unaccounted()));
}

Result<void> serve(const config::NodeConfig& config, Clock::time_point started) {
  std::error_code error;
  std::filesystem::create_directories(config.run_dir, error);
  if (error)
    return fail(Errc::io, "create " + config.run_dir.string(), error.message(),
                "run as root, or pass --node DIR");
  const std::filesystem::path socket_path = config::dataplane_socket(config);
  auto listener = listen_at(socket_path.string());
  if (!listener) return std::unexpected(listener.error());
  const struct Unlink {  // however this ends
    const std::filesystem::path& path;
    ~Unlink() { ::unlink(path.c_str()); }
  } unlink{socket_path};

  const auto nb_ports = static_cast<std::uint32_t>(config.ports.size());
  const auto nb_cores = static_cast<std::uint32_t>(config.poll_cores.size());
  const abi::Geometry geometry =
      make_geometry(nb_cores, static_cast<std::uint32_t>(config.worker_cores.size()), config.limits.rights,
                    config.limits.in_flight, config.limits.processes_per_worker);
  if (!abi::is_valid(geometry) || nb_ports == 0 || nb_ports > kPortsMax)
    return fail(Errc::invalid_argument, "node.toml", "counts out of range",
                "1 to 8 poll cores, 1 to 32 workers, 1 to 8 ports, powers of two under [limits]");

  dpdk::EalOptions eal_options;
  std::uint32_t held_by_drivers = 0;  // mbufs
  bool one_piece = false;
  for (const config::Port& port : config.ports) {
    const auto spec = dpdk::parse_device(port.device);
    if (!spec) return std::unexpected(spec.error());
    const auto held = dpdk::mbufs_held_by_driver(*spec, static_cast<std::uint16_t>(nb_cores));
    if (!held) return std::unexpected(held.error());
    held_by_drivers += *held;
    one_piece |= spec->kind == dpdk::DeviceKind::af_xdp;
    if (spec->kind == dpdk::DeviceKind::pci) eal_options.pci.push_back(spec->name);
  }
  const dpdk::MbufPoolOptions rx_options{.name = "pgrid-rx",
                                         .count = rx_mbufs(nb_ports, nb_cores, held_by_drivers),
                                         .cache = kMempoolCache,
                                         .one_piece = one_piece};
  const dpdk::MbufPoolOptions answer_options{
      .name = "pgrid-answers", .count = answer_mbufs(nb_ports, nb_cores), .cache = kMempoolCache};
  eal_options.file_prefix = config.name;
  eal_options.huge_pages = config.huge_pages;
  eal_options.memory_mib = eal_memory_mib(rx_options, answer_options, nb_ports);
  eal_options.poll_cpus = {config.poll_cores.begin(), config.poll_cores.end()};
  auto eal = dpdk::Eal::init(eal_options);
  if (!eal) return std::unexpected(eal.error());
  auto rx_pool = dpdk::MbufPool::create(rx_options);
  if (!rx_pool) return std::unexpected(rx_pool.error());
  auto answers = dpdk::MbufPool::create(answer_options);
  if (!answers) return std::unexpected(answers.error());
  auto ports = open_ports(config, *rx_pool);
  if (!ports) return std::unexpected(ports.error());

  const auto boot_id = random_value<std::array<std::uint8_t, 16>>();
  if (!boot_id) return std::unexpected(boot_id.error());
  const SegmentPlan plan{geometry, *boot_id, dpdk::tsc_hz(), eal->huge_pages()};
  auto rights = create_segment(plan, abi::SegmentKind::rights, "pgrid-rights", abi::rights_size(geometry));
  if (!rights) return std::unexpected(rights.error());
  auto stats_memory = create_segment(plan, abi::SegmentKind::stats, "pgrid-stats", abi::stats_size(geometry));
  if (!stats_memory) return std::unexpected(stats_memory.error());

  const StatsSegment stats(stats_memory->data(), geometry);
  stats.gauges().mbufs_total.store(rx_pool->count() + answers->count());
  stats.gauges().started_unix_ns.store(static_cast<std::uint64_t>(
      std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count()));
  stats.gauges().huge_pages.store(eal->huge_pages());
  stats.gauges().plaintext.store(1);  // a configuration without it is refused

  LinkCells cells(geometry);
  NodeSignals signals;
  auto handles = HandleTable::create();
  if (!handles) return std::unexpected(handles.error());
  const TickRate rate(dpdk::tsc_hz());
  auto handover = Handover::create(
      {.plan = plan,
       .rights = *rights,
       .stats = *stats_memory,
       .cells = cells,
       .signals = signals,
       .handles = *handles,
       .rate = rate,
       .tsc = &dpdk::tsc,
       .mbufs_in_use = [&rx_pool, &answers] { return std::uint64_t{rx_pool->in_use()} + answers->in_use(); }},
      std::move(*listener));
  if (!handover) return std::unexpected(handover.error());
  auto telemetry = add_telemetry_commands(stats);
  if (!telemetry) return std::unexpected(telemetry.error());

  const IdlePolicy idle = choose_idle_policy(config, read_isolated_cpus());
  std::vector<std::unique_ptr<PollCore<DpdkIo>>> poll_cores;
  for (std::uint32_t core = 0; core < nb_cores; ++core) {
    const auto seed = random_value<std::uint64_t>();
    if (!seed) return std::unexpected(seed.error());
    const std::span<const abi::RightSlot> slots{
        reinterpret_cast<const abi::RightSlot*>(rights->data() + sizeof(abi::SegmentHeader)),
        geometry.rights};
    poll_cores.push_back(std::make_unique<PollCore<DpdkIo>>(
        PollCoreWiring{core, geometry, rate, slots, stats, cells, signals, *handles, idle, *seed},
        poll_core_io(*ports, static_cast<std::uint16_t>(core), *answers)));
  }
  Result<void> launched;
  {
    dpdk::LcoreGroup lcores;
    for (std::uint32_t core = 0; core < nb_cores && launched; ++core) {
      launched = lcores.launch(eal->poll_lcores()[core], [core, &poll_core = *poll_cores[core]]() noexcept {
        dpdk::set_thread_name(("pgrid-poll-" + std::to_string(core)).c_str());
        ::prctl(PR_SET_TIMERSLACK,
                1000);  // 1 us: a sleep of 10 us must not become 60 (timer slack is 50 us by default)
        poll_core.run();
      });
    }
    if (launched) {
      std::string names;
      for (const ServedPort& served : *ports) names += " " + served.port.spec().text;
      std::fprintf(
          stderr, "pgrid-dataplane: ready on%s, %u poll core%s, %u worker%s, after %lld ms\n", names.c_str(),
          nb_cores, nb_cores == 1 ? "" : "s", geometry.workers, geometry.workers == 1 ? "" : "s",
          static_cast<long long>(
              std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started).count()));
      while (g_stop_asked == 0) (*handover)->step(kStepMs);
      drain(**handover, stats, signals);
    }
    signals.phase.store(Phase::stopping, std::memory_order_relaxed);
  }  // joined: nobody polls any more
  if (launched) report_books(stats);
  return launched;
}

}  // namespace
}  // namespace pgrid::dataplane

int main(int argc, char** argv) {
  using namespace pgrid;
  const auto started = std::chrono::steady_clock::now();
  const auto complain = [](const Error& error) {
    std::fprintf(stderr, "pgrid-dataplane: %s\n", error.sentence().c_str());
    return error.code == Errc::invalid_argument ? 2 : 1;
  };
  try {
    const auto arguments = dataplane::parse_arguments(argc, argv);
    if (!arguments) return complain(arguments.error());
    const auto config = config::read_node_config(arguments->config, arguments->node);
    if (!config) return complain(config.error()), 2;
    dataplane::raise_descriptor_limit();
    dataplane::listen_to_signals();
    if (const auto served = dataplane::serve(*config, started); !served) return complain(served.error());
    return 0;
  } catch (const std::exception& error) {  // of the standard library, at start: no memory
    std::fprintf(stderr, "pgrid-dataplane: %s\n", error.what());
    return 1;
  }
}
