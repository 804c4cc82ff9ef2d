// A helper thread over real sockets, and the other ends of them: the test plays workers, control and the poll core.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>

#include "dataplane/handover.hpp"
#include "drivers/shm/segment.hpp"

namespace pgrid::dataplane {

using Clock = std::chrono::steady_clock;

inline constexpr abi::Geometry kGeometry{.poll_cores = 2,
                                  .workers = 2,
                                  .rights = 16,
                                  .in_flight = 64,
                                  .request_ring = 16384,
                                  .reply_ring = 65536,
                                  .control_ring = 8192,
                                  .processes = 3};

/// The other end of the hand-over socket.
class Peer {
 public:
  explicit Peer(const std::string& path) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    connected_ = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    socket_ = HandoverSocket(std::move(fd));
  }
  bool hello(abi::Role role, std::uint32_t worker = 0) {
    abi::Hello hello{};
    hello.header = abi::handover_header<abi::Hello>(abi::HandoverType::hello);
    hello.role = role;
    hello.worker = worker;
    return socket_.send(hello);
  }
  bool report(std::uint32_t process, std::uint32_t generation, abi::ProcessStatus status,
              std::uint32_t worker = 0, std::string_view text = {}) {
    abi::ProcessState state{};
    state.header = abi::handover_header<abi::ProcessState>(abi::HandoverType::process_state);
    state.process = process;
    state.generation = generation;
    state.worker = worker;
    state.status = status;
    text.copy(state.text, sizeof state.text - 1);
    return socket_.send(state);
  }
  bool load(std::uint32_t process, std::uint32_t generation, std::uint32_t worker, std::string_view code,
            std::uint32_t time_limit_us = 1000) {
    abi::LoadProcess load{};
    load.header = abi::handover_header<abi::LoadProcess>(abi::HandoverType::load_process);
    load.process = process;
    load.generation = generation;
    load.worker = worker;
    load.limits.time_limit_us = time_limit_us;
    load.handles = ~0u;  // the data plane's to say
    load.code_size = code.size();
    load.code_hash[0] = static_cast<std::uint8_t>(code[0]);
    load.name[0] = 'p';
    const auto fd = shm::sealed_copy("code", std::as_bytes(std::span(code)));
    const int fds[] = {fd->get()};
    return socket_.send(load, fds);
  }
  bool set_handle(std::uint32_t process, std::uint32_t generation, std::uint32_t handle, std::uint32_t slot,
                  std::uint32_t right_generation) {
    abi::SetHandle set{};
    set.header = abi::handover_header<abi::SetHandle>(abi::HandoverType::set_handle);
    set.process = process;
    set.generation = generation;
    set.handle = handle;
    set.slot = slot;
    set.right_generation = right_generation;
    return socket_.send(set);
  }
  bool unload(std::uint32_t process, std::uint32_t generation) {
    abi::UnloadProcess unload{};
    unload.header = abi::handover_header<abi::UnloadProcess>(abi::HandoverType::unload_process);
    unload.process = process;
    unload.generation = generation;
    return socket_.send(unload);
  }
  bool send_raw(std::string_view bytes) {
    return ::send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  HandoverSocket& socket() { return socket_; }
  [[nodiscard]] bool connected() const { return connected_; }
  void leave() { socket_.close(); }

 private:
  HandoverSocket socket_;
  bool connected_ = false;
};

class HandoverTest : public testing::Test {
 protected:
  HandoverTest() {
    char name[] = "/tmp/pgrid-handover-XXXXXX";
    folder_ = ::mkdtemp(name);
    path_ = (folder_ / "dataplane.sock").string();
    plan_ = {kGeometry, {1, 2, 3}, 1'000'000'000, false};
    rights_ = *create_segment(plan_, abi::SegmentKind::rights, "rights", abi::rights_size(kGeometry));
    stats_memory_ = *create_segment(plan_, abi::SegmentKind::stats, "stats", abi::stats_size(kGeometry));
    stats_.emplace(stats_memory_.data(), kGeometry);
    handover_ = *Handover::create({.plan = plan_,
                                   .rights = rights_,
                                   .stats = stats_memory_,
                                   .cells = cells_,
                                   .signals = signals_,
                                   .handles = handles_,
                                   .rate = TickRate(1'000'000'000),
                                   .tsc = [] { return std::uint64_t{5'000'000'000}; },
                                   .mbufs_in_use = [] { return std::uint64_t{77}; }},
                                  *listen_at(path_));
  }
  ~HandoverTest() override { std::filesystem::remove_all(folder_); }

  /// Lets the helper work until `done`, or gives up after 5 seconds.
  bool step_until(const std::function<bool()>& done) {
    const auto until = Clock::now() + std::chrono::seconds(5);
    while (!done()) {
      if (Clock::now() > until) return false;
      handover_->step(1);
    }
    return true;
  }
  /// The next datagram for a peer.
  std::optional<Datagram> next(Peer& peer) {
    Datagram datagram;
    HandoverSocket::Received received{};
    step_until([&] {
      received = peer.socket().receive(datagram);
      return received != HandoverSocket::Received::nothing;
    });
    if (received != HandoverSocket::Received::datagram) return std::nullopt;
    return datagram;
  }
  /// The next of one type, skipping others.
  template <typename T>
  std::optional<T> next_as(Peer& peer, abi::HandoverType type) {
    while (auto datagram = next(peer))
      if (auto message = datagram->as<T>(type)) return message;
    return std::nullopt;
  }
  std::string next_refusal(Peer& peer) {
    const auto refused = next_as<abi::Refused>(peer, abi::HandoverType::refused);
    return refused ? refused->text : "(not refused)";
  }
  bool closed(Peer& peer) {
    Datagram datagram;
    return step_until([&] { return peer.socket().receive(datagram) == HandoverSocket::Received::closed; });
  }
  /// Both poll cores take what is offered.
  void poll_cores_turn(bool settle = true) {
    for (std::uint32_t core = 0; core < kGeometry.poll_cores; ++core) {
      for (std::uint32_t worker = 0; worker < kGeometry.workers; ++worker)
        turn_cell(cells_.worker(core, worker), settle);
      turn_cell(cells_.control(core), settle);
    }
  }
  static void turn_cell(LinkCell& cell, bool settle) {
    if (cell.state == LinkState::offered) cell.state = LinkState::attached;
    if (cell.state == LinkState::retired && settle) cell.state = LinkState::empty;
  }
  [[nodiscard]] abi::WorkerState worker_state(std::uint32_t worker) const {
    return static_cast<abi::WorkerState>(stats_->worker(worker).state.load());
  }
  [[nodiscard]] abi::WorkerLoss loss() const { return static_cast<abi::WorkerLoss>(stats_->worker(0).loss.load()); }
  /// Seated, with its Welcome taken.
  Peer seat_worker(std::uint32_t worker) {
    Peer peer(path_);
    peer.hello(abi::Role::worker, worker);
    EXPECT_TRUE(next_as<abi::Welcome>(peer, abi::HandoverType::welcome));
    return peer;
  }
  Peer seat_control() {
    Peer peer(path_);
    peer.hello(abi::Role::control);
    EXPECT_TRUE(next_as<abi::Welcome>(peer, abi::HandoverType::welcome));
    for (std::uint32_t i = 0; i < kGeometry.workers; ++i)
      EXPECT_TRUE(next_as<abi::WorkerChange>(peer, abi::HandoverType::worker_change));
    return peer;
  }

  std::filesystem::path folder_;
  std::string path_;
  SegmentPlan plan_;
  shm::Segment rights_;
  shm::Segment stats_memory_;
  std::optional<StatsSegment> stats_;
  LinkCells cells_{kGeometry};
  NodeSignals signals_;
  HandleTable handles_ = *HandleTable::create();
  std::unique_ptr<Handover> handover_;
};

}  // namespace pgrid::dataplane
