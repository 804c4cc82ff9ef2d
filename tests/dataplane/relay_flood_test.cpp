// Functions that ask others under load: full rings, floods from both sides, several poll cores. Every request gets exactly
// one answer, nobody is kept out for ever.
#include <map>
#include <random>

#include "tests/dataplane/relay_harness.hpp"

namespace pgrid::test {
namespace {

using abi::Counter;
using abi::Kind;
using abi::Reason;

constexpr auto kRequest = static_cast<std::uint8_t>(Kind::request);

TEST_F(RelayTest, AFullRingIsBusyForPortsAndFunctionsAlike) {
  const wire::RightRef to_asked{6, 1, Harness::kKey};
  node.write_right(to_asked, [](auto& fields) { fields.target = kAsked, fields.worker = 1; });
  for (int i = 0; i < 64; ++i) node.receive(Harness::frame(MessageBuilder().to(to_asked).body(1024)));
  node.turn(2);  // 48 of 64 KiB hold 45 records of 1,088 bytes
  EXPECT_EQ(node.counter(Counter::dispatched), 45u);
  EXPECT_EQ(node.counter(Counter::busy_ring), 19u);
  asker->say(question(1), std::string(1024, 'q'));
  EXPECT_EQ(reason_of(answered_now()), "busy");
  EXPECT_EQ(node.counter(Counter::busy_ring), 20u);
}

TEST_F(RelayTest, AnAnswerFitsWhereRequestsDoNot) {
  for (int i = 0; i < 64; ++i) node.receive(Harness::frame(MessageBuilder().to(Harness::kRight).body(1024)));
  node.turn(2);
  EXPECT_EQ(node.counter(Counter::busy_ring), 19u) << "the asker's own ring is full";
  for (std::uint8_t id = 1; id <= kWaitingMax; ++id) asker->say(question(id), std::string(1024, 'q'));
  node.turn();
  for (std::uint8_t id = 1; id <= kWaitingMax; ++id) asked->answer(*asked->next(), std::string(1024, 'a'));
  node.turn();
  EXPECT_EQ(node.counter(Counter::guest_answers), kWaitingMax);
  for (int i = 0; i < 45; ++i) EXPECT_EQ(asker->next()->header.kind, kRequest);
  for (std::uint8_t id = 1; id <= kWaitingMax; ++id) {
    const auto answer = asker->next();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->header.id[0], id);
    EXPECT_EQ(answer->body, std::string(1024, 'a'));
  }
  EXPECT_FALSE(faulty());
}

TEST_F(RelayTest, NeitherPortsNorFunctionsStarveWhenBothFlood) {
  const wire::RightRef to_asked{6, 1, Harness::kKey};
  node.write_right(to_asked, [](auto& fields) { fields.target = kAsked, fields.worker = 1; });
  std::uint64_t of_ports = 0;
  std::uint64_t of_functions = 0;
  std::uint64_t waiting = 0;
  for (int turn = 0; turn < 400; ++turn) {
    for (int i = 0; i < 32; ++i) node.receive(Harness::frame(MessageBuilder().to(to_asked).body(1024)));
    for (; waiting < kWaitingMax; ++waiting) asker->say(question(), std::string(1024, 'q'));
    node.turn();
    if (const auto request = asked->next()) {  // slower than either alone
      const bool from_function = request->body[0] == 'q';
      ++(from_function ? of_functions : of_ports);
      asked->answer(*request, "");
    }
    while (asker->next()) --waiting;
    node.pass_us(1);
  }
  EXPECT_GT(of_ports, 40u);
  EXPECT_GT(of_functions, 40u);
  EXPECT_FALSE(faulty() || faulty(1));
}

/// Both workers' functions ask each other and answer at random, ports send to both, workers pause: full rings everywhere.
TEST_F(RelayTest, FloodsInBothDirectionsLoseNothing) {
  std::mt19937 random(4646);
  node.write_right({6, 1, Harness::kKey}, [](auto&) {});
  node.write_right({7, 1, Harness::kKey}, [](auto& fields) { fields.target = kAsked, fields.worker = 1; });
  node.handles.set(kAsked, kHandle, 6, 1);
  struct Side {
    FakeWorker* worker;
    std::uint32_t process;
    std::vector<FakeWorker::Request> held{};
    std::map<std::uint32_t, int> waiting{};  // by id
    std::uint32_t next_id = 1;
    std::uint64_t asked = 0;
    std::uint64_t answered = 0;
  };
  Side sides[] = {{asker, kAsker}, {asked, kAsked}};
  std::uint64_t frames = 0;
  std::uint64_t answers = 0;
  const auto read = [&](Side& side) {
    while (auto taken = side.worker->next()) {
      if (taken->header.kind == kRequest) {
        side.held.push_back(std::move(*taken));
        continue;
      }
      std::uint32_t id = 0;
      std::memcpy(&id, taken->header.id, sizeof id);
      ASSERT_EQ(side.waiting[id], 1) << "once, and only what was asked";
      side.waiting.erase(id);
      ++side.answered;
    }
  };
  for (int step = 0; step < 20'000; ++step) {
    for (Side& side : sides) {
      if (random() % 4 != 0) read(side);  // else it pauses, and its ring fills
      while (side.waiting.size() < kWaitingMax && random() % 4 != 0) {
        abi::WorkerReply send = question();
        send.process = side.process;
        std::memcpy(send.id, &side.next_id, sizeof side.next_id);
        if (!side.worker->say(send, std::string(random() % 1025, 'q'))) break;
        side.waiting[side.next_id++] = 1;
        ++side.asked;
      }
      while (!side.held.empty() && random() % 3 != 0) {
        const std::size_t i = random() % side.held.size();
        if (random() % 16 != 0) {
          ASSERT_TRUE(side.worker->answer(side.held[i], std::string(random() % 1025, 'a'))) << "an answer always fits";
        }
        side.held.erase(side.held.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
    for (std::uint32_t n = random() % 8; n != 0; --n, ++frames)
      node.receive(Harness::frame(
          MessageBuilder().to({static_cast<std::uint32_t>(6 + random() % 2), 1, Harness::kKey}).body(random() % 1025)));
    node.pass_us(random() % 40);
    node.turn();
    answers += node.take_sent().size();
    ASSERT_FALSE(faulty() || faulty(1)) << step;
    ASSERT_EQ(node.books(), "") << step;
  }
  node.pass_us(2000);
  for (int i = 0; i < 200; ++i) {
    node.turn();
    for (Side& side : sides) read(side);
  }
  answers += node.take_sent().size();
  for (const Side& side : sides) {
    EXPECT_EQ(side.asked, side.answered) << "exactly one answer each";
    EXPECT_TRUE(side.waiting.empty());
    EXPECT_GT(side.asked, 5'000u);
  }
  EXPECT_EQ(frames, answers + node.counter(Counter::refusals_suppressed));
  EXPECT_GT(node.counter(Counter::busy_ring) + node.counter(Counter::busy_in_flight), 100u) << "the rings were full";
  EXPECT_EQ(node.counter(Counter::guest_answers_lost), 0u);
}

/// As above, with workers that die in between: what is lost is what was asked by the dead.
TEST_F(RelayTest, BooksBalanceWhileWorkersDie) {
  std::mt19937 random(7);
  for (int step = 0; step < 5'000; ++step) {
    std::uint32_t waiting = 0;
    for (; waiting < 3; ++waiting) asker->say(question());
    node.turn();
    while (const auto request = asked->next())
      if (random() % 4 != 0) asked->answer(*request, "ok");
    for (std::uint32_t worker = 0; worker < 2; ++worker) {
      if (random() % 8 != 0) continue;
      node.cells.worker(0, worker).retire();
      node.turn(2);
      ASSERT_TRUE(node.cells.worker(0, worker).is_empty());
      (worker == 0 ? asker : asked) = &node.attach_worker(worker);
      node.turn();
    }
    node.pass_us(1000);
    node.turn(4);
    while (asker->next()) --waiting;
    ASSERT_EQ(node.books(), "") << step;
    ASSERT_FALSE(faulty() || faulty(1)) << step;
  }
  EXPECT_EQ(node.counter(Counter::guest_requests),
            node.counter(Counter::guest_answers) + node.counter(Counter::guest_answers_lost));
  EXPECT_GT(node.counter(Counter::guest_answers_lost), 100u);
}

// ---- several poll cores

/// A request arrives on poll core 1 for a process whose home is core 0. Its function asks another: that goes by way of core
/// 0, and the answer to the first request returns on core 1. `ends` are a worker's rings, one pair for each core.
TEST(RelayCores, AFunctionsQuestionGoesByWayOfItsHomeAndAnswersCross) {
  Harness node(relay_geometry(2));
  hold_right(node);  // worker 0 is at home on core 0, worker 1 on core 1
  FakeWorker* asker[] = {&node.attach_worker(0, 0), &node.attach_worker(0, 1)};
  FakeWorker* asked[] = {&node.attach_worker(1, 0), &node.attach_worker(1, 1)};
  const auto turn = [&] {
    node.turn(1, 0);
    node.turn(1, 1);
  };
  for (std::uint32_t round = 0; round < 100; ++round) {
    node.receive(Harness::request("please"), 1);
    turn();
    EXPECT_FALSE(asker[0]->next());
    const auto first = asker[1]->next();
    ASSERT_TRUE(first);
    EXPECT_EQ(abi::send_once_core(first->header.reply_slot), 1u);

    abi::WorkerReply send = question();
    asker[0]->say(send, first->body);  // its home, whatever core the message in hand came from
    turn();
    EXPECT_FALSE(asked[1]->next());
    const auto second = asked[0]->next();
    ASSERT_TRUE(second);
    EXPECT_EQ(second->body, "please");
    EXPECT_EQ(abi::send_once_core(second->header.reply_slot), 0u);

    asked[0]->answer(*second, "here");
    turn();
    const auto back = asker[0]->next();
    ASSERT_TRUE(back);
    EXPECT_EQ(back->body, "here");
    asker[1]->answer(*first, back->body);
    turn();
    const auto sent = node.take_sent(1);
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(sent[0].body, "here");
    EXPECT_TRUE(node.take_sent(0).empty());
  }
  for (std::uint32_t core = 0; core < 2; ++core) EXPECT_EQ(node.books(core), "");
  EXPECT_EQ(node.counter(Counter::guest_requests, 0), 100u);
  EXPECT_EQ(node.counter(Counter::guest_requests, 1), 0u);
}

TEST(RelayCores, OnAnotherCoreThanItsHomeAWorkerMayNotAsk) {
  Harness node(relay_geometry(2));
  hold_right(node);
  FakeWorker& away = node.attach_worker(0, 1);
  node.turn(1, 1);
  away.say(question());
  node.turn(1, 1);
  EXPECT_TRUE(node.cells.worker(1, 0).faulty.load());
  EXPECT_EQ(node.counter(Counter::reply_malformed, 1), 1u);
  EXPECT_EQ(node.counter(Counter::guest_requests, 1), 0u);
}

TEST(RelayCores, OnlyTheHomeCoreKeepsRoomForAnswers) {
  Harness node(relay_geometry(2));
  node.attach_worker(0, 0);
  node.attach_worker(0, 1);
  for (std::uint32_t core = 0; core < 2; ++core) {
    for (int i = 0; i < 64; ++i) node.receive(Harness::frame(MessageBuilder().to(Harness::kRight).body(1024)), core);
    node.turn(2, core);
  }
  EXPECT_EQ(node.counter(Counter::dispatched, 0), 45u) << "48 of 64 KiB";
  EXPECT_EQ(node.counter(Counter::dispatched, 1), 60u) << "all of it";
}

/// Every worker gets requests from every poll core; each reply is taken by the core whose ring it lies in, and only there.
TEST(RelayCores, EveryPairOfPollCoreAndWorkerHasItsOwnRings) {
  constexpr std::uint32_t kCores = 4;
  abi::Geometry geometry = relay_geometry(kCores);
  geometry.workers = 3;
  Harness node(geometry);
  FakeWorker* ends[kCores][3];
  for (std::uint32_t core = 0; core < kCores; ++core)
    for (std::uint32_t worker = 0; worker < 3; ++worker) ends[core][worker] = &node.attach_worker(worker, core);
  for (std::uint32_t worker = 0; worker < 3; ++worker)
    node.write_right({8 + worker, 1, Harness::kKey}, [&](auto& fields) {
      fields.target = 100 + worker;
      fields.worker = static_cast<std::uint16_t>(worker);
    });
  for (std::uint32_t core = 0; core < kCores; ++core) {
    for (std::uint32_t worker = 0; worker < 3; ++worker)
      node.receive(Harness::frame(MessageBuilder().to({8 + worker, 1, Harness::kKey}).body("hello")), core);
    node.turn(1, core);
  }
  for (std::uint32_t core = 0; core < kCores; ++core)
    for (std::uint32_t worker = 0; worker < 3; ++worker) {
      const auto request = ends[core][worker]->next();
      ASSERT_TRUE(request) << core << " " << worker;
      EXPECT_EQ(request->header.process, 100 + worker);
      EXPECT_EQ(abi::send_once_core(request->header.reply_slot), core);
      EXPECT_FALSE(ends[core][worker]->next());
      ends[core][worker]->answer(*request, std::to_string(worker));
    }
  for (std::uint32_t core = 0; core < kCores; ++core) {
    node.turn(1, core);
    const auto sent = node.take_sent(core);
    ASSERT_EQ(sent.size(), 3u);
    for (std::uint32_t worker = 0; worker < 3; ++worker) EXPECT_EQ(sent[worker].body, std::to_string(worker));
    EXPECT_EQ(node.books(core), "");
  }
}

}  // namespace
}  // namespace pgrid::test
