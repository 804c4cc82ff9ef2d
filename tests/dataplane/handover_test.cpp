// The helper thread over real sockets: workers and control come, die and come
// back; what control loaded survives all of that; nobody's memory goes while
// a poll core uses it. The test plays workers, control and the poll core.
#include "dataplane/handover.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>

#include "drivers/shm/segment.hpp"

namespace pgrid::dataplane {
namespace {

using Clock = std::chrono::steady_clock;

constexpr abi::Geometry kGeometry{.poll_cores = 2,
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

TEST_F(HandoverTest, GivesAWorkerItsRings) {
  Peer worker(path_);
  worker.hello(abi::Role::worker, 1);
  auto datagram = next(worker);
  ASSERT_TRUE(datagram);
  const auto welcome = datagram->as<abi::Welcome>(abi::HandoverType::welcome);
  ASSERT_TRUE(welcome);
  EXPECT_EQ(welcome->worker, 1u);
  ASSERT_EQ(datagram->nb_fds, 1u);
  const auto rings =
      shm::Segment::map(std::move(datagram->fds[0]), welcome->sizes[0], shm::Segment::Access::read_write);
  ASSERT_TRUE(rings) << rings.error().sentence();
  abi::SegmentHeader header;
  ASSERT_TRUE(abi::read_segment_header(rings->data(), rings->size(), abi::SegmentKind::worker_rings, header));

  for (std::uint32_t core = 0; core < 2; ++core) {
    ASSERT_EQ(cells_.worker(core, 1).state, LinkState::offered);
    abi::RingProducer requests(cells_.worker(core, 1).rings.to_peer,
                               cells_.worker(core, 1).rings.to_capacity);
    ASSERT_NE(requests.reserve(64), nullptr);
    requests.commit();
    requests.publish();
    abi::RingConsumer seen(rings->data() + abi::request_ring_offset(kGeometry, core), kGeometry.request_ring);
    EXPECT_TRUE(seen.front()) << "what a poll core writes is what the worker reads, core " << core;
  }
  EXPECT_TRUE(step_until([&] { return worker_state(1) == abi::WorkerState::serving; }))
      << "it has nothing to load";
  EXPECT_EQ(stats_->worker(1).pid.load(), static_cast<std::uint32_t>(::getpid()));
  EXPECT_EQ(worker_state(0), abi::WorkerState::absent);
}

TEST_F(HandoverTest, GivesControlTheTablesAndStatsItCannotWrite) {
  Peer control(path_);
  control.hello(abi::Role::control);
  auto datagram = next(control);
  ASSERT_TRUE(datagram);
  const auto welcome = datagram->as<abi::Welcome>(abi::HandoverType::welcome);
  ASSERT_TRUE(welcome);
  ASSERT_EQ(datagram->nb_fds, 3u);
  using Access = shm::Segment::Access;
  EXPECT_TRUE(
      shm::Segment::map(UniqueFd(::dup(datagram->fds[0].get())), welcome->sizes[0], Access::read_write));
  EXPECT_FALSE(
      shm::Segment::map(UniqueFd(::dup(datagram->fds[1].get())), welcome->sizes[1], Access::read_write));
  EXPECT_TRUE(
      shm::Segment::map(UniqueFd(::dup(datagram->fds[1].get())), welcome->sizes[1], Access::read_only));
  EXPECT_TRUE(
      shm::Segment::map(UniqueFd(::dup(datagram->fds[2].get())), welcome->sizes[2], Access::read_write));
  EXPECT_EQ(stats_->gauges().control_attached.load(), 1u);
  for (std::uint32_t i = 0; i < 2; ++i) {
    const auto change = next_as<abi::WorkerChange>(control, abi::HandoverType::worker_change);
    ASSERT_TRUE(change);
    EXPECT_EQ(change->worker, i);
  }
}

TEST_F(HandoverTest, RefusesWhoDoesNotBelong) {
  Peer stranger(path_);
  stranger.send_raw("GET / HTTP/1.1");
  EXPECT_NE(next_refusal(stranger).find("Hello"), std::string::npos);
  Peer too_high(path_);
  too_high.hello(abi::Role::worker, 2);
  EXPECT_NE(next_refusal(too_high).find("no worker 2"), std::string::npos);
  Peer no_role(path_);
  no_role.hello(static_cast<abi::Role>(9));
  EXPECT_NE(next_refusal(no_role).find("role"), std::string::npos);
  Peer first = seat_worker(0);
  Peer second(path_);
  second.hello(abi::Role::worker, 0);
  EXPECT_NE(next_refusal(second).find("has this place"), std::string::npos);
  EXPECT_TRUE(closed(second));
  EXPECT_EQ(worker_state(0), abi::WorkerState::serving) << "the first one notices nothing";
}

TEST_F(HandoverTest, ALongDatagramClosesTheConnection) {
  Peer worker = seat_worker(0);
  worker.send_raw(std::string(5000, 'x'));
  EXPECT_TRUE(step_until([&] { return worker_state(0) != abi::WorkerState::serving; }));
}

TEST_F(HandoverTest, LoadsThroughToTheWorkerAndReportsBack) {
  Peer control = seat_control();
  control.load(7, 1, 0, "code of seven");  // before its worker is there
  handover_->step(1);
  Peer worker(path_);
  worker.hello(abi::Role::worker, 0);
  auto welcome = next(worker);
  ASSERT_TRUE(welcome);
  auto datagram = next(worker);
  ASSERT_TRUE(datagram);
  const auto load = datagram->as<abi::LoadProcess>(abi::HandoverType::load_process);
  ASSERT_TRUE(load);
  EXPECT_EQ(load->process, 7u);
  ASSERT_EQ(datagram->nb_fds, 1u);
  char code[13];
  EXPECT_EQ(::pread(datagram->fds[0].get(), code, sizeof code, 0), 13);
  EXPECT_EQ(std::string_view(code, 13), "code of seven");
  EXPECT_EQ(worker_state(0), abi::WorkerState::starting) << "it serves once its processes are there";
  EXPECT_FALSE(cells_.worker(0, 0).serving);

  worker.report(7, 1, abi::ProcessStatus::loaded);
  const auto state = next_as<abi::ProcessState>(control, abi::HandoverType::process_state);
  ASSERT_TRUE(state);
  EXPECT_EQ(state->process, 7u);
  EXPECT_EQ(state->status, abi::ProcessStatus::loaded);
  EXPECT_EQ(worker_state(0), abi::WorkerState::serving);
  EXPECT_TRUE(cells_.worker(0, 0).serving && cells_.worker(1, 0).serving);
  EXPECT_EQ(stats_->worker(0).processes.load(), 1u);

  control.unload(7, 1);
  EXPECT_TRUE(next_as<abi::UnloadProcess>(worker, abi::HandoverType::unload_process));
  worker.report(7, 1, abi::ProcessStatus::unloaded);
  const auto gone = next_as<abi::ProcessState>(control, abi::HandoverType::process_state);
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->status, abi::ProcessStatus::unloaded);
}

TEST_F(HandoverTest, AWorkerThatComesBackGetsItsProcessesWithoutControl) {
  {
    Peer control = seat_control();
    control.load(1, 1, 0, "one");
    control.load(2, 5, 0, "two");
    control.load(3, 1, 1, "elsewhere");
    handover_->step(1);
    handover_->step(1);
  }  // control is gone
  ASSERT_TRUE(step_until([&] { return stats_->gauges().control_attached.load() == 0; }));
  for (int life = 1; life <= 3; ++life) {
    Peer worker = seat_worker(0);
    const auto one = next_as<abi::LoadProcess>(worker, abi::HandoverType::load_process);
    const auto two = next_as<abi::LoadProcess>(worker, abi::HandoverType::load_process);
    ASSERT_TRUE(one && two) << life;
    EXPECT_EQ(one->process, 1u);
    EXPECT_EQ(two->process, 2u);
    EXPECT_EQ(two->generation, 5u);
    worker.report(1, 1, abi::ProcessStatus::loaded);
    EXPECT_EQ(worker_state(0), abi::WorkerState::starting);
    worker.report(2, 5, abi::ProcessStatus::failed, 0, "too old");
    ASSERT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::serving; }))
        << "failed is an answer too";
    EXPECT_EQ(stats_->worker(0).incarnation.load(), static_cast<std::uint64_t>(life));
    poll_cores_turn();
    worker.leave();
    ASSERT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::lost; }));
    poll_cores_turn();
    ASSERT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::absent; }));
    EXPECT_EQ(stats_->worker(0).deaths.load(), static_cast<std::uint64_t>(life));
  }
}

TEST_F(HandoverTest, MemoryStaysUntilEveryPollCoreHasLetGo) {
  Peer worker = seat_worker(0);
  poll_cores_turn();
  worker.leave();
  ASSERT_TRUE(step_until([&] { return cells_.worker(1, 0).state == LinkState::retired; }));
  const std::byte* memory = cells_.worker(1, 0).rings.to_peer;
  Peer successor(path_);
  successor.hello(abi::Role::worker, 0);
  turn_cell(cells_.worker(0, 0), true);  // one of two
  for (int i = 0; i < 20; ++i) handover_->step(1);
  EXPECT_EQ(cells_.worker(1, 0).state, LinkState::retired);
  EXPECT_EQ(memory[0], std::byte{0}) << "still mapped";
  EXPECT_EQ(worker_state(0), abi::WorkerState::lost) << "the next one waits for its place";
  turn_cell(cells_.worker(1, 0), true);
  EXPECT_TRUE(next_as<abi::Welcome>(successor, abi::HandoverType::welcome));
  EXPECT_EQ(cells_.worker(0, 0).rings.incarnation, 2u);
}

TEST_F(HandoverTest, AnOfferThatNobodyTookIsWithdrawn) {
  Peer worker = seat_worker(0);
  worker.leave();
  ASSERT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::absent; }))
      << "no poll core ever turned";
  EXPECT_TRUE(cells_.worker(0, 0).is_empty());
}

TEST_F(HandoverTest, AControlThatComesBackLoadsNothingTwice) {
  Peer worker = seat_worker(0);
  Peer first = seat_control();
  first.load(1, 1, 0, "one");
  first.load(2, 1, 0, "two");
  ASSERT_TRUE(next_as<abi::LoadProcess>(worker, abi::HandoverType::load_process));
  ASSERT_TRUE(next_as<abi::LoadProcess>(worker, abi::HandoverType::load_process));
  worker.report(1, 1, abi::ProcessStatus::loaded);
  worker.report(2, 1, abi::ProcessStatus::failed, 0, "no memory");
  ASSERT_TRUE(next_as<abi::ProcessState>(first, abi::HandoverType::process_state));
  ASSERT_TRUE(next_as<abi::ProcessState>(first, abi::HandoverType::process_state));
  first.leave();
  ASSERT_TRUE(step_until([&] { return stats_->gauges().control_attached.load() == 0; }));

  Peer second = seat_control();
  second.load(1, 1, 0, "one");
  second.load(2, 1, 0, "two");
  const auto one = next_as<abi::ProcessState>(second, abi::HandoverType::process_state);
  const auto two = next_as<abi::ProcessState>(second, abi::HandoverType::process_state);
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->status, abi::ProcessStatus::loaded);
  EXPECT_EQ(two->status, abi::ProcessStatus::failed);
  EXPECT_STREQ(two->text, "no memory");
  Datagram none;
  EXPECT_EQ(worker.socket().receive(none), HandoverSocket::Received::nothing)
      << "the worker was not troubled";
  second.load(1, 2, 0, "another");  // a new generation is loaded
  const auto load = next_as<abi::LoadProcess>(worker, abi::HandoverType::load_process);
  ASSERT_TRUE(load);
  EXPECT_EQ(load->generation, 2u);
}

TEST_F(HandoverTest, AProcessThatItsWorkerDidNotUnloadBeforeItDiedDoesNotComeBack) {
  Peer worker = seat_worker(0);
  Peer control = seat_control();
  for (const std::uint32_t process : {1u, 2u}) {
    control.load(process, 1, 0, "code");
    ASSERT_TRUE(next_as<abi::LoadProcess>(worker, abi::HandoverType::load_process));
    worker.report(process, 1, abi::ProcessStatus::loaded);
    ASSERT_TRUE(next_as<abi::ProcessState>(control, abi::HandoverType::process_state));
  }
  control.unload(1, 1);
  ASSERT_TRUE(next_as<abi::UnloadProcess>(worker, abi::HandoverType::unload_process));
  worker.leave();
  const auto gone = next_as<abi::ProcessState>(control, abi::HandoverType::process_state);
  ASSERT_TRUE(gone) << "whoever removes it waits for this";
  EXPECT_EQ(gone->process, 1u);
  EXPECT_EQ(gone->status, abi::ProcessStatus::unloaded);
  ASSERT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::absent; }));
  worker = seat_worker(0);
  const auto load = next_as<abi::LoadProcess>(worker, abi::HandoverType::load_process);
  ASSERT_TRUE(load);
  EXPECT_EQ(load->process, 2u);
}

// ---- handles

class Handles : public HandoverTest {
 protected:
  [[nodiscard]] bool held(std::uint32_t process, std::uint32_t generation, std::uint32_t handle, std::uint32_t slot) {
    const HeldRight right = handles_.find(process, generation, 0, handle);
    return right.verdict == HeldRight::Verdict::held && right.slot == slot;
  }
  /// A process 7 of generation 1 on a worker that serves.
  void load_seven() {
    control.load(7, 1, 0, "seven");
    ASSERT_TRUE(next_as<abi::LoadProcess>(worker, abi::HandoverType::load_process));
    worker.report(7, 1, abi::ProcessStatus::loaded);
    ASSERT_TRUE(next_as<abi::ProcessState>(control, abi::HandoverType::process_state));
  }
  std::optional<abi::SetHandle> told() { return next_as<abi::SetHandle>(worker, abi::HandoverType::set_handle); }
  bool nothing_for_the_worker() {
    for (int i = 0; i < 20; ++i) handover_->step(1);
    Datagram none;
    return worker.socket().receive(none) == HandoverSocket::Received::nothing;
  }
  Peer worker = seat_worker(0);
  Peer control = seat_control();
};

TEST_F(Handles, ReachPollCoresAndTheWorkerWhichLearnsNoSlot) {
  load_seven();
  control.set_handle(7, 1, 4, 12, 3);
  auto set = told();
  ASSERT_TRUE(set);
  EXPECT_EQ(set->process, 7u);
  EXPECT_EQ(set->generation, 1u);
  EXPECT_EQ(set->handle, 4u);
  EXPECT_EQ(set->held, 1u);
  EXPECT_EQ(set->slot, 0u);
  EXPECT_EQ(set->right_generation, 0u);
  EXPECT_TRUE(held(7, 1, 4, 12));
  EXPECT_EQ(handles_.find(7, 1, 0, 4).generation, 3u);

  control.set_handle(7, 1, 4, 12, 3);  // a control that came back says it again
  EXPECT_TRUE(nothing_for_the_worker());
  control.set_handle(7, 1, 4, 13, 1);  // another right under the same handle: nothing new for the worker
  EXPECT_TRUE(nothing_for_the_worker());
  EXPECT_TRUE(held(7, 1, 4, 13));

  control.set_handle(7, 1, 4, 0, 0);
  set = told();
  ASSERT_TRUE(set);
  EXPECT_EQ(set->held, 0u);
  EXPECT_FALSE(held(7, 1, 4, 13));
  control.set_handle(7, 1, 4, 0, 0);
  EXPECT_TRUE(nothing_for_the_worker());
}

TEST_F(Handles, ComeBackWithTheWorker) {
  load_seven();
  for (const std::uint32_t handle : {4u, 5u, 18u}) control.set_handle(7, 1, handle, 15, 1);
  control.set_handle(7, 1, 5, 0, 0);
  ASSERT_TRUE(step_until([&] { return held(7, 1, 18, 15) && !held(7, 1, 5, 15); }));
  worker.leave();
  ASSERT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::absent; }));
  control.set_handle(7, 1, 6, 15, 1);  // while it is away
  ASSERT_TRUE(step_until([&] { return held(7, 1, 6, 15); }));
  worker = seat_worker(0);
  const auto load = next_as<abi::LoadProcess>(worker, abi::HandoverType::load_process);
  ASSERT_TRUE(load);
  EXPECT_EQ(load->handles, 1u << 4 | 1u << 6 | 1u << 18) << "and not what control wrote there";
  EXPECT_TRUE(nothing_for_the_worker());
  control.set_handle(7, 1, 7, 15, 1);  // while it loads
  EXPECT_TRUE(told());
}

TEST_F(Handles, OfAnotherProcessAreIgnored) {
  load_seven();
  control.set_handle(8, 1, 4, 12, 3);
  control.set_handle(7, 2, 4, 12, 3);
  control.set_handle(7, 0, 4, 12, 3);
  control.set_handle(~0u, 1, 4, 12, 3);
  EXPECT_TRUE(nothing_for_the_worker());
  for (const std::uint32_t generation : {0u, 1u, 2u}) EXPECT_FALSE(held(7, generation, 4, 12));
  EXPECT_EQ(stats_->gauges().control_attached.load(), 1u) << "it may not know yet";
}

TEST_F(Handles, AreGoneWithTheirProcess) {
  load_seven();
  control.set_handle(7, 1, 4, 12, 3);
  ASSERT_TRUE(told());
  control.load(7, 1, 0, "seven");  // the same: nothing changes
  ASSERT_TRUE(next_as<abi::ProcessState>(control, abi::HandoverType::process_state));
  EXPECT_TRUE(held(7, 1, 4, 12));
  control.load(7, 2, 0, "eight");  // something else under the same index begins with none
  const auto load = next_as<abi::LoadProcess>(worker, abi::HandoverType::load_process);
  ASSERT_TRUE(load);
  EXPECT_EQ(load->handles, 0u);
  EXPECT_FALSE(held(7, 1, 4, 12));
  EXPECT_FALSE(held(7, 2, 4, 12));
  control.set_handle(7, 2, 4, 12, 3);
  ASSERT_TRUE(told());
  EXPECT_TRUE(held(7, 2, 4, 12));
  control.unload(7, 2);
  ASSERT_TRUE(next_as<abi::UnloadProcess>(worker, abi::HandoverType::unload_process));
  EXPECT_FALSE(held(7, 2, 4, 12)) << "at once, whatever the worker does";
  control.set_handle(7, 2, 4, 12, 3);
  EXPECT_TRUE(nothing_for_the_worker());
  EXPECT_FALSE(held(7, 2, 4, 12));
}

TEST_F(Handles, NonsenseCostsControlItsPlace) {
  load_seven();
  const std::pair<std::uint32_t, std::uint32_t> handle_slot[] = {{0, 1}, {3, 1}, {19, 1}, {~0u, 1}, {4, 16}, {4, ~0u}};
  for (const auto& [handle, slot] : handle_slot) {
    control.set_handle(7, 1, handle, slot, 1);
    EXPECT_TRUE(closed(control)) << handle << " " << slot;
    poll_cores_turn();
    control = seat_control();
  }
  EXPECT_TRUE(nothing_for_the_worker());
}

TEST_F(HandoverTest, RefusesLoadsThatCannotBe) {
  Peer control = seat_control();
  const auto refusal = [&] {
    const auto state = next_as<abi::ProcessState>(control, abi::HandoverType::process_state);
    return state && state->status == abi::ProcessStatus::failed ? std::string(state->text) : "(not refused)";
  };
  control.load(1, 1, 2, "x");
  EXPECT_NE(refusal().find("no worker 2"), std::string::npos);
  control.load(abi::kProcessesMax, 1, 0, "x");
  EXPECT_NE(refusal().find("out of range"), std::string::npos);
  for (std::uint32_t process = 0; process < 4; ++process) control.load(process, 1, 0, "x");
  EXPECT_NE(refusal().find("processes_per_worker"), std::string::npos) << "the fourth of three";
  control.load(0, 2, 1, "x");  // moves to the other worker, which has room
  control.unload(0, 2);
  const auto state = next_as<abi::ProcessState>(control, abi::HandoverType::process_state);
  ASSERT_TRUE(state);
  EXPECT_EQ(state->status, abi::ProcessStatus::unloaded) << "answered at once while the worker is away";
}

TEST_F(HandoverTest, AControlThatTalksNonsenseIsShownTheDoor) {
  Peer control = seat_control();
  control.send_raw("nonsense");
  EXPECT_TRUE(closed(control));
  EXPECT_EQ(stats_->gauges().control_attached.load(), 0u);
  Peer next_one = seat_control();
  poll_cores_turn();
  cells_.control(1).faulty = true;  // as a poll core says when its ring makes no sense
  EXPECT_TRUE(closed(next_one));
}

TEST_F(HandoverTest, PublishesClockAndGauges) {
  ASSERT_TRUE(step_until([&] { return stats_->gauges().mbufs_in_use.load() == 77; }));
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const auto unix_s = (signals_.unix_offset_ns.load() + 5'000'000'000) / 1'000'000'000;
  EXPECT_NEAR(static_cast<double>(unix_s), static_cast<double>(now.tv_sec), 2.0);
}

TEST_F(HandoverTest, ASecondDataPlaneIsRefusedAndADeadOnesSocketReplaced) {
  const auto second = listen_at(path_);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().sentence().find("running already"), std::string::npos);
  handover_.reset();
  EXPECT_TRUE(listen_at(path_));
  EXPECT_FALSE(listen_at("/tmp/" + std::string(200, 'x')));
}

// ---- workers that are processes

/// A child that connects as worker 0, waits for its Welcome, then does `then` and sleeps.
class Child {
 public:
  Child(const std::string& path, const std::function<void(Peer&)>& then) : pid_(::fork()) {
    if (pid_ != 0) return;
    Peer peer(path);
    peer.hello(abi::Role::worker, 0);
    Datagram datagram;
    while (peer.socket().receive(datagram) == HandoverSocket::Received::nothing) ::usleep(500);
    then(peer);
    for (;;) ::pause();
  }
  ~Child() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  void kill() const { ::kill(pid_, SIGKILL); }
  /// CPU time that it used, also after its end.
  [[nodiscard]] std::uint64_t cpu_ns() const { return cpu_time_ns(pid_); }
  [[nodiscard]] bool is_dead() const {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == pid_;
  }

 private:
  pid_t pid_;
};

TEST_F(HandoverTest, NoticesAKilledWorkerEvenIfAChildOfItHoldsTheSocket) {
  Child worker(path_, [](Peer&) {
    if (::fork() == 0) {
      ::alarm(20);  // outlives its parent, not the test
      for (;;) ::pause();
    }
  });
  ASSERT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::serving; }));
  worker.kill();
  EXPECT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::absent; }));
  EXPECT_EQ(stats_->worker(0).deaths.load(), 1u);
  EXPECT_EQ(loss(), abi::WorkerLoss::ended);
}

TEST_F(HandoverTest, KillsAWorkerThatWroteNonsense) {
  Child worker(path_, [](Peer&) {});
  ASSERT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::serving; }));
  poll_cores_turn();
  cells_.worker(1, 0).faulty = true;
  EXPECT_TRUE(step_until([&] { return worker.is_dead(); }));
  EXPECT_EQ(loss(), abi::WorkerLoss::nonsense);
  poll_cores_turn();
  EXPECT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::absent; }));
}

TEST_F(HandoverTest, KillsAWorkerThatBurnsCpuWithoutASignOfLifeAndNoOther) {
  {
    Child idle(path_, [](Peer&) {});  // uses no CPU time: may be silent for ever
    ASSERT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::serving; }));
    const auto until = Clock::now() + std::chrono::milliseconds(300);
    while (Clock::now() < until) handover_->step(1);
    EXPECT_FALSE(idle.is_dead());
  }
  ASSERT_TRUE(step_until([&] { return worker_state(0) == abi::WorkerState::absent; }));
  Child stuck(path_, [](Peer&) {
    for (std::atomic<int> i = 0;; ++i) {
    }
  });
  EXPECT_TRUE(step_until([&] { return stuck.is_dead(); }));
  EXPECT_EQ(loss(), abi::WorkerLoss::hung);
}

TEST_F(HandoverTest, AWorkerMayBeSilentForFourTimesItsLargestTimeLimit) {
  Peer control = seat_control();
  control.load(1, 1, 0, "quick", 1'000);
  control.load(2, 1, 0, "slow", 100'000);
  control.load(3, 1, 1, "elsewhere", 60'000'000);
  for (int i = 0; i < 5; ++i) handover_->step(1);
  Child worker(path_, [](Peer& peer) {
    for (std::uint32_t loaded = 0; loaded < 2;) {
      Datagram datagram;
      if (peer.socket().receive(datagram) == HandoverSocket::Received::nothing) {
        ::usleep(500);
      } else if (const auto load = datagram.as<abi::LoadProcess>(abi::HandoverType::load_process)) {
        peer.report(load->process, load->generation, abi::ProcessStatus::loaded);
        ++loaded;
      }
    }
    for (std::atomic<int> i = 0;; ++i) {
    }
  });
  EXPECT_TRUE(step_until([&] { return worker.is_dead(); }));
  EXPECT_EQ(loss(), abi::WorkerLoss::hung);
  EXPECT_GT(worker.cpu_ns(), 4u * 100'000'000) << "CPU time, of the slowest of its own processes";
}

}  // namespace
}  // namespace pgrid::dataplane
