#include "dataplane/handover.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace pgrid::dataplane {
namespace {

constexpr std::size_t kGuestsMax = 64;         // connections that have not said who they are
constexpr std::uint64_t kTickNs = 20'000'000;  // gauges, heartbeats, faults: 50 times a second
constexpr int kVacatingPollMs = 1;             // poll cores answer within a few turns

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
  const bool vacating = control_.is_vacating() || std::any_of(workers_.begin(), workers_.end(),
                                                              [](const auto& w) { return w.is_vacating(); });
  epoll_event events[32];
  const int n =
      ::epoll_wait(epoll_.get(), events, 32, vacating ? std::min(timeout_ms, kVacatingPollMs) : timeout_ms);
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
      if (ended) lose_worker(w, abi::WorkerLoss::ended);
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
  const auto guest =
      std::find_if(guests_.begin(), guests_.end(), [&](Guest& g) { return &g.socket == &socket; });
  Datagram datagram;
  const auto received = socket.receive(datagram);
  if (received == HandoverSocket::Received::nothing) return;
  const auto hello = datagram.as<abi::Hello>(abi::HandoverType::hello);
  if (received == HandoverSocket::Received::closed || guest->hello) return socket.close();
  if (!hello) {
    (void)refuse(socket, "this is not a Hello of shared-memory version " +
                             std::to_string(abi::kSharedVersion) + "; use programs of one build");
    return;
  }
  guest->hello = *hello;  // seated by retry_guests
}

void Handover::retry_guests() {
  for (Guest& guest : guests_)
    if (guest.socket && guest.hello && seat(guest.socket, *guest.hello) != Seating::wait)
      guest.socket.close();
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

// ---- time

void Handover::tick() {
  last_tick_ns_ = clock_ns(CLOCK_MONOTONIC);
  publish_clock();
  if (wiring_.mbufs_in_use)
    stats_.gauges().mbufs_in_use.store(wiring_.mbufs_in_use(), std::memory_order_relaxed);
  const bool stopping = wiring_.signals.phase.load(std::memory_order_relaxed) != Phase::serving;
  for (std::uint32_t worker = 0; worker < workers_.size(); ++worker) {
    if (!workers_[worker].is_taken()) continue;
    bool faulty = false;
    for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core)
      faulty |= wiring_.cells.worker(core, worker).faulty.load(std::memory_order_acquire);
    if (faulty) {
      lose_worker(worker, abi::WorkerLoss::nonsense);
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
