// The hand-over between helper and poll core with both running: workers come and die while messages flow. The
// memory of a dead worker goes as soon as its cell is empty: a poll core that touched it later would be
// caught by the sanitizers.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "dataplane/control_link.hpp"
#include "dataplane/idle_policy.hpp"
#include "tests/dataplane/harness.hpp"

namespace pgrid::test {
namespace {

using abi::Counter;

/// Answers what comes until told to die; every third message is left unanswered.
class WorkerThread {
 public:
  WorkerThread(const abi::Geometry& geometry, std::uint32_t incarnation)
      : end_(std::make_unique<FakeWorker>(geometry, incarnation)), thread_([this] {
          std::uint32_t n = 0;
          while (!stop_.load(std::memory_order_acquire)) {
            const auto request = end_->next();
            if (!request) {
              std::this_thread::yield();
            } else if (++n % 3 != 0) {
              end_->answer(*request, request->body);
            }
          }
        }) {}
  ~WorkerThread() { die(); }
  void die() {
    stop_.store(true, std::memory_order_release);
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] const dataplane::LinkRings& rings() const { return end_->rings(); }

 private:
  std::unique_ptr<FakeWorker> end_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST(Link, WorkersComeAndDieUnderLoad) {
  Harness node;
  std::atomic<bool> stop{false};
  std::uint64_t answers = 0;
  std::uint64_t requests = 0;
  std::thread poll_core([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      for (int i = 0; i < 4; ++i, ++requests) node.receive(Harness::request());
      node.pass_us(20);
      node.turn();
      answers += node.take_sent().size();
    }
    for (int i = 0; i < 200; ++i) {
      node.pass_us(100);
      node.turn();
    }
    answers += node.take_sent().size();
  });
  dataplane::LinkCell& cell = node.cells.worker(0, 0);
  for (std::uint32_t life = 1; life <= 40; ++life) {
    auto worker = std::make_unique<WorkerThread>(node.geometry, life);
    cell.offer(worker->rings());
    cell.serving.store(life % 5 != 0, std::memory_order_release);
    for (std::uint32_t i = 0; i < life * 20; ++i) std::this_thread::yield();
    worker->die();
    cell.retire();
    while (!cell.is_empty()) std::this_thread::yield();
    worker.reset();  // its memory is gone
  }
  stop.store(true);
  poll_core.join();
  EXPECT_EQ(node.books(), "");
  EXPECT_EQ(node.cores[0]->in_flight().in_use(), 0u);
  EXPECT_EQ(answers, requests) << "exactly one answer each";
  EXPECT_EQ(node.counter(Counter::reply_malformed), 0u);
  EXPECT_GT(node.counter(Counter::dispatched), 0u);
}

TEST(Link, AnOfferIsWithdrawnOrTakenNeverBoth) {
  const auto memory = std::make_unique<FakeWorker>(Harness::small_geometry(), 1);
  for (int round = 0; round < 2000; ++round) {
    dataplane::LinkCell cell;
    cell.offer(memory->rings());
    dataplane::WorkerLink link(cell, 0, 8);
    std::thread helper([&] { cell.retire(); });
    link.follow();
    helper.join();
    if (link.follow() == dataplane::WorkerLink::State::absent) {
      EXPECT_TRUE(cell.is_empty());
    } else {
      EXPECT_EQ(link.state(), dataplane::WorkerLink::State::closing);
      link.close();
      EXPECT_TRUE(cell.is_empty());
    }
  }
}

TEST(ControlLink, FloodsOfLogLinesLeaveRoomForAnswers) {
  FakeControl control(Harness::small_geometry(), 1);
  dataplane::LinkCell cell;
  cell.offer(control.rings());
  dataplane::ControlLink link(cell);
  link.follow();
  const auto posts = [&link](abi::ControlEventType type) {
    abi::ControlEvent event{};
    event.type = static_cast<std::uint8_t>(type);
    std::uint32_t n = 0;
    while (link.post(event, {})) ++n;
    return n;
  };
  const std::uint32_t half = Harness::small_geometry().control_ring / abi::kRecordHeader / 2;
  EXPECT_EQ(posts(abi::ControlEventType::log), half);
  EXPECT_EQ(posts(abi::ControlEventType::punt), 0u);
  EXPECT_EQ(posts(abi::ControlEventType::answer), half);
}

TEST(IdlePolicy, SpinsOnlyOnIsolatedCoresOfPhysicalPorts) {
  using dataplane::choose_idle_policy;
  using dataplane::IdlePolicy;
  config::NodeConfig config;
  config.poll_cores = {2, 5};
  config.ports.resize(1);
  config.ports[0].device = "0000:65:00.0";
  EXPECT_EQ(choose_idle_policy(config, "1-3,5"), IdlePolicy::spin);
  EXPECT_EQ(choose_idle_policy(config, "1-3,6"), IdlePolicy::sleep);
  EXPECT_EQ(choose_idle_policy(config, ""), IdlePolicy::sleep);
  config.ports[0].device = "tap:pg0";
  EXPECT_EQ(choose_idle_policy(config, "0-63"), IdlePolicy::sleep);
  config.idle = config::Idle::spin;
  EXPECT_EQ(choose_idle_policy(config, ""), IdlePolicy::spin) << "what is configured wins";
}

TEST(IdlePolicy, ReadsTheKernelsCpuLists) {
  EXPECT_TRUE(dataplane::cpu_list_has("0", 0));
  EXPECT_TRUE(dataplane::cpu_list_has("2-4,8,10-11", 11));
  EXPECT_FALSE(dataplane::cpu_list_has("2-4,8,10-11", 9));
  EXPECT_FALSE(dataplane::cpu_list_has("nonsense", 0));
  EXPECT_FALSE(dataplane::cpu_list_has("", 0));
}

}  // namespace
}  // namespace pgrid::test
