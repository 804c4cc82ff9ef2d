// What handles lead to, for whom, and that a process never gets what another one of the same index holds.
#include "dataplane/handle_table.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace pgrid::dataplane {
namespace {

using Verdict = HeldRight::Verdict;

class HandleTableTest : public testing::Test {
 protected:
  [[nodiscard]] Verdict verdict(std::uint32_t process, std::uint32_t generation, std::uint32_t worker,
                                std::uint32_t handle = 4) const {
    return table.find(process, generation, worker, handle).verdict;
  }
  HandleTable table = *HandleTable::create();
};

TEST_F(HandleTableTest, LeadsToTheRightOfThatProcessAndHandle) {
  table.begin(7, 3, 1);
  table.set(7, 4, 100, 5);
  table.set(7, 18, ~0u, ~0u);
  const HeldRight first = table.find(7, 3, 1, 4);
  EXPECT_EQ(first.verdict, Verdict::held);
  EXPECT_EQ(first.slot, 100u);
  EXPECT_EQ(first.generation, 5u);
  const HeldRight last = table.find(7, 3, 1, 18);
  EXPECT_EQ(last.verdict, Verdict::held);
  EXPECT_EQ(last.slot, ~0u);
  EXPECT_EQ(last.generation, ~0u);
  for (std::uint32_t handle = 5; handle < 18; ++handle) EXPECT_EQ(verdict(7, 3, 1, handle), Verdict::none);
  EXPECT_EQ(verdict(6, 3, 1), Verdict::none);
  EXPECT_EQ(verdict(8, 3, 1), Verdict::none);
  table.set(7, 4, 0, 6);  // slot 0 is a slot
  EXPECT_EQ(table.find(7, 3, 1, 4).verdict, Verdict::held);
  EXPECT_EQ(table.find(7, 3, 1, 4).slot, 0u);
}

TEST_F(HandleTableTest, IsForOneGenerationOnOneWorker) {
  table.begin(7, 3, 1);
  table.set(7, 4, 100, 5);
  EXPECT_EQ(verdict(7, 2, 1), Verdict::none);
  EXPECT_EQ(verdict(7, 4, 1), Verdict::none);
  EXPECT_EQ(verdict(7, 3, 0), Verdict::foreign);
  EXPECT_EQ(verdict(7, 0, 0), Verdict::none) << "generation 0 is nobody's";
  table.set(7, 4, 100, 0);
  EXPECT_EQ(verdict(7, 3, 1), Verdict::none) << "taken away";
  table.set(7, 4, 100, 5);
  table.begin(7, 4, 1);
  EXPECT_EQ(verdict(7, 4, 1), Verdict::none) << "begins with none";
  table.set(7, 4, 100, 5);
  table.end(7);
  EXPECT_EQ(verdict(7, 4, 1), Verdict::none);
  EXPECT_EQ(verdict(7, 0, 0), Verdict::none);
}

TEST_F(HandleTableTest, HasRoomForEveryProcessOfANode) {
  for (const std::uint32_t process : {0u, 1u, abi::kProcessesMax - 1}) {
    table.begin(process, 1, 31);
    table.set(process, 4, process, 1);
  }
  for (const std::uint32_t process : {0u, 1u, abi::kProcessesMax - 1})
    EXPECT_EQ(table.find(process, 1, 31, 4).slot, process);
  HandleTable moved = std::move(table);
  EXPECT_EQ(moved.find(1, 1, 31, 4).slot, 1u);
}

/// The helper replaces a process again and again; each holds the slot that is its generation. Poll cores ask for the
/// present, the last and the next one: whatever they are given must be that generation's own.
TEST_F(HandleTableTest, NobodyIsGivenWhatAnotherGenerationHolds) {
  std::atomic<std::uint32_t> now{1};
  std::atomic<bool> stop{false};
  table.begin(7, 1, 0);
  table.set(7, 4, 1, 1);
  std::uint64_t held = 0;
  std::uint64_t wrong = 0;
  std::thread poll_core([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      const std::uint32_t generation = now.load(std::memory_order_relaxed);
      for (const std::uint32_t asked : {generation - 1, generation, generation + 1}) {
        const HeldRight right = table.find(7, asked, 0, 4);
        held += right.verdict == Verdict::held;
        wrong += right.verdict == Verdict::held && right.slot != asked;
      }
    }
  });
  for (std::uint32_t generation = 2; generation < 300'000; ++generation) {
    table.begin(7, generation, 0);
    table.set(7, 4, generation, generation);
    now.store(generation, std::memory_order_relaxed);
    if (generation % 1000 == 0) std::this_thread::yield();
  }
  stop.store(true);
  poll_core.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_GT(held, 0u);
}

}  // namespace
}  // namespace pgrid::dataplane
