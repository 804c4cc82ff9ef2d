// The helper thread over real sockets: workers and control come, die and come
// back; what control loaded survives all of that; nobody's memory goes while
// a poll core uses it. The test plays workers, control and the poll core.
#include "tests/dataplane/handover_harness.hpp"

namespace pgrid::dataplane {
namespace {

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

}  // namespace
}  // namespace pgrid::dataplane
