#include "dataplane/handover.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace pgrid::dataplane {
namespace {

constexpr std::size_t kGuestsMax = 64;                       // connections that have not said who they are
constexpr std::uint64_t kTickNs = 20'000'000;                // gauges, heartbeats, faults: 50 times a second
constexpr int kVacatingPollMs = 1;                           // poll cores answer within a few turns

std::uint64_t clock_ns(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(time.tv_nsec);
}

}  // namespace

Handover::Handover(HandoverWiring wiring, UniqueFd listener)
    : wiring_(std::move(wiring)),
      geometry_(wiring_.plan.geometry),
      stats_(wiring_.stats.data(), wiring_.plan.geometry),
      listener_(std::move(listener)),
      workers_(wiring_.plan.geometry.workers) {}

Result<std::unique_ptr<Handover>> Handover::create(HandoverWiring wiring, UniqueFd listener) {
  std::unique_ptr<Handover> handover(new Handover(std::move(wiring), std::move(listener)));
  handover->epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  if (!handover->epoll_) return fail_errno("create an epoll instance", errno);
  handover->watch(handover->listener_.get());
  handover->publish_clock();
  return handover;
}

Handover::~Handover() = default;

void Handover::watch(int fd, bool also_write) {
  epoll_event event{};
  event.events = EPOLLIN | (also_write ? EPOLLOUT : 0u);
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0)
    (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
}

void Handover::update_interest(const HandoverSocket& socket) {
  if (socket) watch(socket.fd(), socket.wants_to_write());
}

void Handover::step(int timeout_ms) {
  const bool vacating = control_.is_vacating() ||
                        std::any_of(workers_.begin(), workers_.end(), [](const auto& w) { return w.is_vacating(); });
  epoll_event events[32];
  const int n = ::epoll_wait(epoll_.get(), events, 32, vacating ? std::min(timeout_ms, kVacatingPollMs) : timeout_ms);
  for (int i = 0; i < n; ++i) {
    const int fd = events[i].data.fd;  // may be closed by an event before it: then nobody below knows it
    if (fd == listener_.get()) accept_all();
    if (control_.is_taken()) {
      const bool ended = fd == control_.pidfd.get();
      if (ended || fd == control_.socket.fd()) read_control();
      if (ended) lose_control();
    }
    for (std::uint32_t w = 0; w < workers_.size(); ++w) {
      if (!workers_[w].is_taken()) continue;
      const bool ended = fd == workers_[w].pidfd.get();  // a child of it might keep the socket open
      if (ended || fd == workers_[w].socket.fd()) read_worker(w);
      if (ended) lose_worker(w);
    }
    for (Guest& guest : guests_)
      if (guest.socket && fd == guest.socket.fd()) read_guest(guest.socket);
  }
  if (clock_ns(CLOCK_MONOTONIC) - last_tick_ns_ >= kTickNs) tick();
  if (vacating) reap();
  retry_guests();
}

// ---- connections

void Handover::accept_all() {
  for (;;) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return;
    if (guests_.size() >= kGuestsMax) continue;
    watch(fd.get());
    guests_.push_back({HandoverSocket(std::move(fd)), std::nullopt});
  }
}

void Handover::read_guest(HandoverSocket& socket) {
  const auto guest = std::find_if(guests_.begin(), guests_.end(), [&](Guest& g) { return &g.socket == &socket; });
  Datagram datagram;
  const auto received = socket.receive(datagram);
  if (received == HandoverSocket::Received::nothing) return;
  const auto hello = datagram.as<abi::Hello>(abi::HandoverType::hello);
  if (received == HandoverSocket::Received::closed || guest->hello) return socket.close();
  if (!hello) {
    (void)refuse(socket, "this is not a Hello of shared-memory version " + std::to_string(abi::kSharedVersion) +
                             "; use programs of one build");
    return;
  }
  guest->hello = *hello;  // seated by retry_guests
}

void Handover::retry_guests() {
  for (Guest& guest : guests_)
    if (guest.socket && guest.hello && seat(guest.socket, *guest.hello) != Seating::wait) guest.socket.close();
  guests_.remove_if([](const Guest& guest) { return !guest.socket; });
}

Handover::Seating Handover::refuse(HandoverSocket& socket, const std::string& sentence) {
  abi::Refused refused{};
  refused.header = abi::handover_header<abi::Refused>(abi::HandoverType::refused);
  sentence.copy(refused.text, sizeof refused.text - 1);
  (void)socket.send(refused);
  socket.close();
  return Seating::refused;
}

Handover::Seating Handover::seat(HandoverSocket& guest, const abi::Hello& hello) {
  const auto peer = guest.peer();
  if (!peer) return refuse(guest, peer.error().sentence());
  if (peer->uid != 0 && peer->uid != ::geteuid())
    return refuse(guest, "user " + std::to_string(peer->uid) + " is neither root nor the data plane's user");

  Seat* seat = nullptr;
  if (hello.role == abi::Role::control) seat = &control_;
  if (hello.role == abi::Role::worker && hello.worker < workers_.size()) seat = &workers_[hello.worker];
  if (seat == nullptr)
    return refuse(guest, hello.role == abi::Role::worker
                             ? "there is no worker " + std::to_string(hello.worker) + "; node.toml gives " +
                                   std::to_string(workers_.size()) + " worker cores"
                             : "the role is neither control nor worker");
  if (seat->is_vacating()) return Seating::wait;
  if (seat->is_taken())
    return refuse(guest, "process " + std::to_string(seat->pid) + " has this place; stop it first");

  const Result<void> seated = hello.role == abi::Role::control ? seat_control(guest, peer->pid)
                                                               : seat_worker(guest, hello.worker, peer->pid);
  if (!seated) return refuse(guest, seated.error().sentence());
  return Seating::seated;
}

Result<void> Handover::seat_worker(HandoverSocket& guest, std::uint32_t worker, pid_t pid) {
  WorkerSeat& seat = workers_[worker];
  auto pidfd = open_pidfd(pid);
  if (!pidfd) return std::unexpected(pidfd.error());
  auto segment = create_segment(wiring_.plan, abi::SegmentKind::worker_rings, "pgrid-worker-" + std::to_string(worker),
                                abi::worker_rings_size(geometry_));
  if (!segment) return std::unexpected(segment.error());

  abi::Welcome welcome{};
  welcome.header = abi::handover_header<abi::Welcome>(abi::HandoverType::welcome);
  welcome.geometry = geometry_;
  std::copy(wiring_.plan.boot_id.begin(), wiring_.plan.boot_id.end(), welcome.boot_id);
  welcome.tsc_hz = wiring_.plan.tsc_hz;
  welcome.worker = worker;
  welcome.segments = 1;
  welcome.sizes[0] = segment->size();
  const int fds[] = {segment->fd()};
  if (!guest.send(welcome, fds)) return fail(Errc::unavailable, "welcome worker " + std::to_string(worker), "it is gone");

  seat.segment = std::move(*segment);
  seat.socket = std::move(guest);
  guest = HandoverSocket();
  seat.pidfd = std::move(*pidfd);
  seat.pid = pid;
  ++seat.incarnation;
  seat.serving = false;
  seat.heartbeat_seen = 0;
  seat.cpu_ns_at_heartbeat = cpu_time_ns(pid);
  watch(seat.socket.fd());
  watch(seat.pidfd.get());
  for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core)
    wiring_.cells.worker(core, worker).offer(worker_rings(seat.segment, geometry_, core, seat.incarnation));
  set_worker_state(worker, abi::WorkerState::starting);
  book_.for_each(worker, [&](KeptProcess& kept) { start_loading(kept); });
  serve_if_ready(worker);
  return {};
}

Result<void> Handover::seat_control(HandoverSocket& guest, pid_t pid) {
  auto pidfd = open_pidfd(pid);
  if (!pidfd) return std::unexpected(pidfd.error());
  auto segment = create_segment(wiring_.plan, abi::SegmentKind::control_rings, "pgrid-control",
                                abi::control_rings_size(geometry_));
  if (!segment) return std::unexpected(segment.error());
  const auto stats = wiring_.stats.read_only_fd();
  if (!stats) return std::unexpected(stats.error());

  abi::Welcome welcome{};
  welcome.header = abi::handover_header<abi::Welcome>(abi::HandoverType::welcome);
  welcome.geometry = geometry_;
  std::copy(wiring_.plan.boot_id.begin(), wiring_.plan.boot_id.end(), welcome.boot_id);
  welcome.tsc_hz = wiring_.plan.tsc_hz;
  welcome.segments = 3;
  welcome.sizes[0] = wiring_.rights.size();
  welcome.sizes[1] = wiring_.stats.size();
  welcome.sizes[2] = segment->size();
  const int fds[] = {wiring_.rights.fd(), stats->get(), segment->fd()};
  if (!guest.send(welcome, fds)) return fail(Errc::unavailable, "welcome control", "it is gone");

  control_.segment = std::move(*segment);
  control_.socket = std::move(guest);
  guest = HandoverSocket();
  control_.pidfd = std::move(*pidfd);
  control_.pid = pid;
  ++control_.incarnation;
  watch(control_.socket.fd());
  watch(control_.pidfd.get());
  for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core)
    wiring_.cells.control(core).offer(control_rings(control_.segment, geometry_, core, control_.incarnation));
  stats_.gauges().control_attached.store(1, std::memory_order_relaxed);
  for (std::uint32_t worker = 0; worker < workers_.size(); ++worker) tell_worker_change(worker);
  return {};
}

void Handover::send_to_worker(std::uint32_t worker, const auto& message, std::span<const int> fds) {
  HandoverSocket& socket = workers_[worker].socket;
  if (!socket) return;
  if (!socket.send(message, fds)) return lose_worker(worker);
  update_interest(socket);
}

void Handover::send_to_control(const auto& message) {
  if (!control_.is_taken()) return;
  if (!control_.socket.send(message)) return lose_control();
  update_interest(control_.socket);
}

// ---- workers

void Handover::read_worker(std::uint32_t worker) {
  WorkerSeat& seat = workers_[worker];
  for (;;) {
    Datagram datagram;
    switch (seat.socket.receive(datagram)) {
      case HandoverSocket::Received::closed: return lose_worker(worker);
      case HandoverSocket::Received::nothing:
        if (!seat.socket.flush()) return lose_worker(worker);
        return update_interest(seat.socket);
      case HandoverSocket::Received::datagram: break;
    }
    const auto state = datagram.as<abi::ProcessState>(abi::HandoverType::process_state);
    if (!state) return lose_worker(worker);
    KeptProcess* kept = book_.find(state->process);
    if (kept == nullptr || kept->load.worker != worker || kept->load.generation != state->generation) {
      if (state->status == abi::ProcessStatus::unloaded) report(*state);  // of a generation that was replaced
      continue;
    }
    switch (state->status) {
      case abi::ProcessStatus::loaded: kept->status = LoadStatus::loaded; break;
      case abi::ProcessStatus::failed:
        kept->status = LoadStatus::failed;
        kept->text.assign(state->text, strnlen(state->text, sizeof state->text));
        break;
      case abi::ProcessStatus::unloaded: book_.forget(state->process); break;
      default: return lose_worker(worker);
    }
    report(*state);
    serve_if_ready(worker);
  }
}

/// To control, in our words: the worker named process and status, everything else is what we know.
void Handover::report(const abi::ProcessState& state) {
  abi::ProcessState checked = state;
  checked.header = abi::handover_header<abi::ProcessState>(abi::HandoverType::process_state);
  checked.text[sizeof checked.text - 1] = 0;
  send_to_control(checked);
}

void Handover::start_loading(KeptProcess& kept) {
  kept.status = LoadStatus::loading;
  kept.text.clear();
  const int fds[] = {kept.code.get()};
  send_to_worker(kept.load.worker, kept.load, fds);
}

/// A worker serves once each of its processes was reported, loaded or failed.
void Handover::serve_if_ready(std::uint32_t worker) {
  WorkerSeat& seat = workers_[worker];
  const std::uint32_t loaded = book_.count(worker, LoadStatus::loaded);
  stats_.worker(worker).processes.store(loaded, std::memory_order_relaxed);
  if (!seat.is_taken() || seat.serving || book_.count(worker, LoadStatus::loading) != 0) return;
  seat.serving = true;
  for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core)
    wiring_.cells.worker(core, worker).serving.store(true, std::memory_order_release);
  set_worker_state(worker, abi::WorkerState::serving);
}

void Handover::lose_worker(std::uint32_t worker) {
  WorkerSeat& seat = workers_[worker];
  if (!seat.is_taken()) return;
  kill_process(seat.pidfd);  // a process that closed its socket, or wrote nonsense, may live on
  for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core) wiring_.cells.worker(core, worker).retire();
  seat.socket.close();
  seat.pidfd.reset();
  seat.serving = false;
  ++seat.deaths;
  book_.for_each(worker, [](KeptProcess& kept) { kept.status = LoadStatus::waiting; });
  set_worker_state(worker, abi::WorkerState::lost);
}

void Handover::set_worker_state(std::uint32_t worker, abi::WorkerState state) {
  const WorkerSeat& seat = workers_[worker];
  abi::WorkerStatus& status = stats_.worker(worker);
  constexpr auto relaxed = std::memory_order_relaxed;
  status.state.store(static_cast<std::uint32_t>(state), relaxed);
  status.pid.store(seat.is_taken() ? static_cast<std::uint32_t>(seat.pid) : 0, relaxed);
  status.incarnation.store(seat.incarnation, relaxed);
  status.deaths.store(seat.deaths, relaxed);
  tell_worker_change(worker);
}

void Handover::tell_worker_change(std::uint32_t worker) {
  const abi::WorkerStatus& status = stats_.worker(worker);
  abi::WorkerChange change{};
  change.header = abi::handover_header<abi::WorkerChange>(abi::HandoverType::worker_change);
  change.worker = worker;
  change.state = status.state.load(std::memory_order_relaxed);
  change.pid = status.pid.load(std::memory_order_relaxed);
  change.deaths = workers_[worker].deaths;
  send_to_control(change);
}

/// A worker that burns CPU without a sign of life is stuck where its own ticker cannot stop it: DESIGN section 2. CPU time,
/// not wall time: a machine that runs others meanwhile is nobody's fault.
void Handover::check_heartbeat(std::uint32_t worker) {
  WorkerSeat& seat = workers_[worker];
  const auto* line = reinterpret_cast<const abi::WorkerLine*>(seat.segment.data() + sizeof(abi::SegmentHeader));
  constexpr auto relaxed = std::memory_order_relaxed;
  const std::uint64_t heartbeat = line->heartbeat.load(relaxed);
  abi::WorkerStatus& status = stats_.worker(worker);
  status.heartbeat.store(heartbeat, relaxed);
  status.handled.store(line->handled.load(relaxed), relaxed);
  status.rebuilds.store(line->rebuilds.load(relaxed), relaxed);
  status.instances.store(line->instances.load(relaxed), relaxed);
  const std::uint64_t cpu_ns = cpu_time_ns(seat.pid);
  if (heartbeat != seat.heartbeat_seen || !seat.serving) {
    seat.heartbeat_seen = heartbeat;
    seat.cpu_ns_at_heartbeat = cpu_ns;
    return;
  }
  std::uint64_t limit_us = 25'000;  // at the least 100 ms: ticks are 20 ms apart and loading a process costs CPU time too
  book_.for_each(worker, [&](const KeptProcess& kept) {
    limit_us = std::max<std::uint64_t>(limit_us, kept.load.limits.time_limit_us);
  });
  if (cpu_ns > seat.cpu_ns_at_heartbeat + 4 * limit_us * 1000) lose_worker(worker);
}

// ---- control

void Handover::read_control() {
  for (;;) {
    Datagram datagram;
    switch (control_.socket.receive(datagram)) {
      case HandoverSocket::Received::closed: return lose_control();
      case HandoverSocket::Received::nothing:
        if (!control_.socket.flush()) return lose_control();
        return update_interest(control_.socket);
      case HandoverSocket::Received::datagram: break;
    }
    if (const auto message = datagram.as<abi::LoadProcess>(abi::HandoverType::load_process);
        message && datagram.nb_fds == 1)
      load(*message, std::move(datagram.fds[0]));
    else if (const auto gone = datagram.as<abi::UnloadProcess>(abi::HandoverType::unload_process))
      unload(*gone);
    else
      return lose_control();
    if (!control_.is_taken()) return;  // it stopped reading
  }
}

void Handover::load(const abi::LoadProcess& load, UniqueFd code) {
  abi::ProcessState state{};
  state.process = load.process;
  state.generation = load.generation;
  state.worker = load.worker;
  state.status = abi::ProcessStatus::failed;
  const auto refuse = [&](const std::string& sentence) {
    sentence.copy(state.text, sizeof state.text - 1);
    report(state);
  };
  if (load.worker >= workers_.size()) return refuse("there is no worker " + std::to_string(load.worker));
  if (load.process >= abi::kProcessesMax) return refuse("process index out of range");
  if (load.name[sizeof load.name - 1] != 0) return refuse("the name does not end");

  KeptProcess* kept = book_.find(load.process);
  if (kept != nullptr && kept->is_same_as(load)) {  // a control that came back: nothing is loaded twice
    if (kept->status == LoadStatus::failed) return refuse(kept->text);
    if (kept->status != LoadStatus::loaded) return;  // reported when it is
    state.status = abi::ProcessStatus::loaded;
    return report(state);
  }
  const bool moves_in = kept == nullptr || kept->load.worker != load.worker;
  if (moves_in && book_.count(load.worker) >= geometry_.processes)
    return refuse("worker " + std::to_string(load.worker) + " has its " + std::to_string(geometry_.processes) +
                  " processes (limits.processes_per_worker)");
  if (kept != nullptr && kept->load.worker != load.worker) {
    abi::UnloadProcess old{};
    old.header = abi::handover_header<abi::UnloadProcess>(abi::HandoverType::unload_process);
    old.process = kept->load.process;
    old.generation = kept->load.generation;
    old.worker = kept->load.worker;
    send_to_worker(old.worker, old);
  }
  KeptProcess& fresh = book_.keep(load, std::move(code));
  if (workers_[load.worker].is_taken()) start_loading(fresh);
}

void Handover::unload(const abi::UnloadProcess& unload) {
  const KeptProcess* kept = book_.find(unload.process);
  const bool known = kept != nullptr && kept->load.generation == unload.generation;
  if (known && workers_[kept->load.worker].is_taken())
    return send_to_worker(kept->load.worker, unload);  // it reports when it is done
  if (known) book_.forget(unload.process);
  abi::ProcessState state{};
  state.process = unload.process;
  state.generation = unload.generation;
  state.worker = unload.worker;
  state.status = abi::ProcessStatus::unloaded;
  report(state);
}

void Handover::lose_control() {
  if (!control_.is_taken()) return;
  for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core) wiring_.cells.control(core).retire();
  control_.socket.close();
  control_.pidfd.reset();
  stats_.gauges().control_attached.store(0, std::memory_order_relaxed);
}

// ---- time

void Handover::tick() {
  last_tick_ns_ = clock_ns(CLOCK_MONOTONIC);
  publish_clock();
  if (wiring_.mbufs_in_use) stats_.gauges().mbufs_in_use.store(wiring_.mbufs_in_use(), std::memory_order_relaxed);
  const bool stopping = wiring_.signals.phase.load(std::memory_order_relaxed) != Phase::serving;
  for (std::uint32_t worker = 0; worker < workers_.size(); ++worker) {
    if (!workers_[worker].is_taken()) continue;
    bool faulty = false;
    for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core)
      faulty |= wiring_.cells.worker(core, worker).faulty.load(std::memory_order_acquire);
    if (faulty) {
      lose_worker(worker);
    } else if (!stopping) {
      check_heartbeat(worker);
    }
  }
  for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core)
    if (wiring_.cells.control(core).faulty.load(std::memory_order_acquire)) lose_control();
}

void Handover::publish_clock() {
  const std::uint64_t since_start = wiring_.rate.ns_of_ticks(wiring_.tsc());
  wiring_.signals.unix_offset_ns.store(static_cast<std::int64_t>(clock_ns(CLOCK_REALTIME) - since_start),
                                       std::memory_order_relaxed);
}

/// Unmaps the memory of peers that are gone, as soon as no poll core uses it.
void Handover::reap() {
  const auto all_empty = [&](auto cell_of) {
    for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core)
      if (!cell_of(core).is_empty()) return false;
    return true;
  };
  for (std::uint32_t worker = 0; worker < workers_.size(); ++worker)
    if (workers_[worker].is_vacating() &&
        all_empty([&](std::uint32_t core) -> LinkCell& { return wiring_.cells.worker(core, worker); })) {
      workers_[worker].segment = {};
      set_worker_state(worker, abi::WorkerState::absent);
    }
  if (control_.is_vacating() &&
      all_empty([&](std::uint32_t core) -> LinkCell& { return wiring_.cells.control(core); }))
    control_.segment = {};
}

}  // namespace pgrid::dataplane
