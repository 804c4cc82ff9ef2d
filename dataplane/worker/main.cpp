// pgrid-worker: wiring only. Runs the functions of one core until the data plane goes away or SIGTERM comes.
//
//   main thread     the hand-over socket: loads and unloads (Loader)
//   pgrid-guests    pinned to the worker's CPU: rings, mailboxes, guests (WorkerLoop)
//   pgrid-ticker    time limits (Ticker)
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>

#include "dataplane/handover_socket.hpp"
#include "dataplane/idle_policy.hpp"
#include "dataplane/worker/loader.hpp"
#include "dataplane/worker/rings_segment.hpp"
#include "dataplane/worker/sandbox.hpp"
#include "dataplane/worker/worker_loop.hpp"
#include "drivers/config/node_config.hpp"
#include "drivers/shm/unix_packet.hpp"

namespace pgrid::worker {
namespace {

using dataplane::Datagram;
using dataplane::HandoverSocket;

constexpr int kConnectTries = 100;            // of 100 ms each: the data plane may be starting beside us
constexpr int kWelcomeMs = 10'000;
constexpr long kLookNs = 50'000;              // how often the loader looks whether an order is done
constexpr int kStopTries = 200;               // of 1 ms each: a guest that runs at SIGTERM is not waited for longer
constexpr char kUsage[] = "usage: pgrid-worker --index N --config FILE [--node DIR]";

void sleep_ns(long ns) {
  const timespec time{ns / 1'000'000'000, ns % 1'000'000'000};
  ::nanosleep(&time, nullptr);
}

struct Arguments {
  std::uint32_t index = 0;
  std::string config;
  std::string node;
};

Result<Arguments> parse_arguments(int count, char** values) {
  Arguments arguments;
  std::string index;
  for (int i = 1; i < count; ++i) {
    const std::string_view name = values[i];
    std::string* value = name == "--index"    ? &index
                         : name == "--config" ? &arguments.config
                         : name == "--node"   ? &arguments.node
                                              : nullptr;
    if (value == nullptr || i + 1 == count)
      return fail(Errc::invalid_argument, std::string(name), value == nullptr ? "no such argument" : "needs a value", kUsage);
    *value = values[++i];
  }
  const auto [end, error] = std::from_chars(index.data(), index.data() + index.size(), arguments.index);
  if (index.empty() || error != std::errc() || end != index.data() + index.size())
    return fail(Errc::invalid_argument, "--index", index.empty() ? "missing" : "not a number", kUsage);
  if (arguments.config.empty()) return fail(Errc::invalid_argument, "--config", "missing", kUsage);
  return arguments;
}

/// Off the cores that poll and run guests, if there are others; else off our own guest's core.
void leave_busy_cores(const config::NodeConfig& config, std::uint32_t own) {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  cpu_set_t rest = allowed;
  for (const std::uint32_t cpu : config.poll_cores) CPU_CLR(cpu, &rest);
  for (const std::uint32_t cpu : config.worker_cores) CPU_CLR(cpu, &rest);
  if (CPU_COUNT(&rest) == 0) {
    rest = allowed;
    CPU_CLR(own, &rest);
  }
  if (CPU_COUNT(&rest) != 0) (void)::sched_setaffinity(0, sizeof rest, &rest);
}

Result<HandoverSocket> connect_to(const std::string& path) {
  for (int tries = kConnectTries;; --tries) {
    auto fd = shm::connect_unix_packet(path);
    if (fd) return HandoverSocket(std::move(*fd));
    const bool is_away = fd.error().code == Errc::not_found || fd.error().code == Errc::unavailable;
    if (is_away && tries != 0) {
      sleep_ns(100'000'000);
      continue;
    }
    if (is_away) fd.error().remedy = "start the data plane first: pgrid up starts all of a node";
    return std::unexpected(fd.error());
  }
}

struct Welcomed {
  abi::Welcome welcome;
  UniqueFd rings;
};

Result<Welcomed> say_hello(HandoverSocket& socket, std::uint32_t index) {
  const std::string operation = "say hello to the data plane";
  abi::Hello hello{};
  hello.header = abi::handover_header<abi::Hello>(abi::HandoverType::hello);
  hello.role = abi::Role::worker;
  hello.worker = index;
  hello.pid = static_cast<std::uint32_t>(::getpid());
  if (!socket.send(hello)) return fail(Errc::unavailable, operation, "it closed the connection");
  pollfd readable{socket.fd(), POLLIN, 0};
  if (::poll(&readable, 1, kWelcomeMs) != 1) return fail(Errc::timed_out, operation, "no answer within 10 s");
  Datagram datagram;
  if (socket.receive(datagram) != HandoverSocket::Received::datagram)
    return fail(Errc::unavailable, operation, "it closed the connection");
  if (const auto refused = datagram.as<abi::Refused>(abi::HandoverType::refused))
    return fail(Errc::not_permitted, operation, std::string(refused->text, ::strnlen(refused->text, sizeof refused->text)));
  const auto welcome = datagram.as<abi::Welcome>(abi::HandoverType::welcome);
  if (!welcome || datagram.nb_fds != 1 || welcome->segments != 1 || welcome->tsc_hz == 0)
    return fail(Errc::protocol, operation, "its answer makes no sense", "data plane and worker must be of one build: install both");
  return Welcomed{*welcome, std::move(datagram.fds[0])};
}

/// Serves the socket until it closes or a signal comes.
Result<void> serve(HandoverSocket& socket, int signals, Loader& loader, const WorkerLoop& loop) {
  constexpr int kLookAtThreadMs = 100;
  for (;;) {
    pollfd waiting[] = {{socket.fd(), static_cast<short>(socket.wants_to_write() ? POLLIN | POLLOUT : POLLIN), 0},
                        {signals, POLLIN, 0}};
    (void)::poll(waiting, 2, kLookAtThreadMs);
    if (waiting[1].revents != 0) return {};
    if (loop.state() == WorkerLoop::State::corrupt)
      return fail(Errc::corrupt, "read the rings", "they hold what no data plane writes", "the node restarts this worker");
    for (const abi::ProcessState& state : loader.gave_up())
      if (!socket.send(state)) return {};
    if ((waiting[0].revents & POLLOUT) != 0 && !socket.flush()) return {};
    if (waiting[0].revents == 0) continue;
    Datagram datagram;
    switch (socket.receive(datagram)) {
      case HandoverSocket::Received::nothing: continue;
      case HandoverSocket::Received::closed: return {};
      case HandoverSocket::Received::datagram: break;
    }
    const auto states = loader.carry_out(datagram);
    if (!states) return std::unexpected(states.error());
    for (const abi::ProcessState& state : *states)
      if (!socket.send(state)) return {};
  }
}

/// For when threads run that nobody could stop in an orderly way.
[[noreturn]] void die(const Error& error) {
  std::fprintf(stderr, "pgrid-worker: %s\n", error.sentence().c_str());
  std::_Exit(1);
}

/// Returns only with what went wrong before it served.
Error run(const Arguments& arguments, const config::NodeConfig& config) {
  sigset_t asked;
  sigemptyset(&asked);
  sigaddset(&asked, SIGTERM);
  sigaddset(&asked, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &asked, nullptr);
  UniqueFd signals(::signalfd(-1, &asked, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals) return fail_errno("signalfd", errno).error();

  const std::uint32_t cpu = config.worker_cores[arguments.index];
  leave_busy_cores(config, cpu);
  auto socket = connect_to(config::dataplane_socket(config).string());
  if (!socket) return socket.error();
  auto welcomed = say_hello(*socket, arguments.index);
  if (!welcomed) return welcomed.error();
  const abi::Geometry geometry = welcomed->welcome.geometry;
  auto rings = map_rings(std::move(welcomed->rings), welcomed->welcome);
  if (!rings) return rings.error();
  if (const auto dropped = drop_privileges({{socket->fd(), signals.get(), rings->fd()}}); !dropped) return dropped.error();

  const auto engine = wasm::Engine::create({.instances = geometry.processes, .memory_max = config.limits.memory_max});
  if (!engine) return engine.error();
  const auto idle = dataplane::choose_idle_policy(config, dataplane::read_isolated_cpus());
  Ticker ticker(*engine, idle == dataplane::IdlePolicy::spin ? Ticker::Rest::naps : Ticker::Rest::waits);
  WorkerCore core(rings->data(), geometry, arguments.index, welcomed->welcome.tsc_hz, *engine, ticker);
  const auto linker = make_guest_linker(*engine, core);
  if (!linker) return linker.error();

  OrderBox orders;
  WorkerLoop loop(core, orders, idle);
  std::thread guests([&] { loop.run(cpu); });
  ticker.watch(guests.native_handle());
  const auto wait = [&loop](const Order& order) {
    while (!order.done.load(std::memory_order_acquire)) {
      if (loop.state() != WorkerLoop::State::running) return false;
      sleep_ns(kLookNs);
    }
    return true;
  };
  const LoaderLimits limits{geometry.processes, config.limits.memory_max, config.limits.memory_total};
  while (!loop.started() || !ticker.started()) sleep_ns(kLookNs);
  if (const auto inside = enter_sandbox(socket->fd()); !inside) die(inside.error());
  Loader loader(*engine, *linker, orders, core.gave_up_box(), limits, wait);
  std::fprintf(stderr, "pgrid-worker: ready, worker %u on CPU %u\n", arguments.index, cpu);
  if (loop.pin_error() != 0)
    std::fprintf(stderr, "pgrid-worker: not pinned to CPU %u: %s\n", cpu, std::strerror(loop.pin_error()));

  const Result<void> served = serve(*socket, signals.get(), loader, loop);
  loop.stop();
  for (int tries = kStopTries; loop.state() == WorkerLoop::State::running && tries != 0; --tries) sleep_ns(1'000'000);
  // Straight to the end, whatever the guests' thread is at: nothing of ours needs an orderly one, and the socket must stay
  // open to the last, because a data plane that sees it close takes the worker for dead and kills it.
  if (!served) std::fprintf(stderr, "pgrid-worker: %s\n", served.error().sentence().c_str());
  std::_Exit(served ? 0 : 1);
}

}  // namespace
}  // namespace pgrid::worker

int main(int count, char** values) {
  using namespace pgrid;
  const auto say = [](const Error& error, int status) {
    std::fprintf(stderr, "pgrid-worker: %s\n", error.sentence().c_str());
    return status;
  };
  const auto arguments = worker::parse_arguments(count, values);
  if (!arguments) return say(arguments.error(), 2);
  const auto config = config::read_node_config(arguments->config, arguments->node);
  if (!config) return say(config.error(), 2);
  if (arguments->index >= config->worker_cores.size())
    return say({Errc::invalid_argument, "--index " + std::to_string(arguments->index),
                arguments->config + " has " + std::to_string(config->worker_cores.size()) + " workers", "count from 0"},
               2);
  return say(worker::run(*arguments, *config), 1);
}
