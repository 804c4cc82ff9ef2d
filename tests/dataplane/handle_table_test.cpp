// What handles lead to, for whom; how those that come with messages are given out and taken back; and that a process never
// gets what another one of the same index holds, whoever writes meanwhile.
#include "dataplane/handle_table.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

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
  table.set(7, 18, abi::kRightsMax - 1, ~0u);
  const HeldRight first = table.find(7, 3, 1, 4);
  EXPECT_EQ(first.verdict, Verdict::held);
  EXPECT_EQ(first.slot, 100u);
  EXPECT_EQ(first.generation, 5u);
  const HeldRight last = table.find(7, 3, 1, 18);
  EXPECT_EQ(last.verdict, Verdict::held);
  EXPECT_EQ(last.slot, abi::kRightsMax - 1);
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

// ---- handles of rights that came with messages

constexpr std::uint32_t kCarried = abi::kHandlesMax - abi::kFirstCarried;  // 45

TEST_F(HandleTableTest, GivesFreeHandlesAllOrNone) {
  table.begin(7, 3, 1);
  const std::array<abi::RightRef, 4> four{{{1, 10}, {2, 20}, {1, 10}, {3, 30}}};
  std::array<std::uint32_t, 4> handles{};
  ASSERT_TRUE(table.give(7, {3, 1}, four, handles.data()));
  EXPECT_EQ(handles, (std::array<std::uint32_t, 4>{19, 20, 21, 22}));
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(table.find(7, 3, 1, handles[i]).slot, four[i].slot);
    EXPECT_EQ(table.find(7, 3, 1, handles[i]).generation, four[i].generation);
  }
  EXPECT_TRUE(table.take(7, 20, 3, {2, 20}));
  EXPECT_FALSE(table.take(7, 20, 3, {2, 20})) << "once";
  EXPECT_FALSE(table.take(7, 21, 3, {2, 20})) << "another right";
  EXPECT_FALSE(table.take(7, 21, 4, {1, 10})) << "another generation";
  EXPECT_EQ(verdict(7, 3, 1, 20), Verdict::none);
  table.drop(7, 22, 4);
  EXPECT_EQ(verdict(7, 3, 1, 22), Verdict::held);
  table.drop(7, 22, 3);
  EXPECT_EQ(verdict(7, 3, 1, 22), Verdict::none);

  ASSERT_TRUE(table.give(7, {3, 1}, four, handles.data()));
  EXPECT_EQ(handles, (std::array<std::uint32_t, 4>{20, 22, 23, 24})) << "what is free is given again";
  std::uint32_t one = 0;
  std::uint32_t given = 6;
  while (table.give(7, {3, 1}, std::span(four).first(1), &one)) ++given;
  EXPECT_EQ(given, kCarried);
  EXPECT_EQ(verdict(7, 3, 1, abi::kHandlesMax - 1), Verdict::held);
  table.drop(7, 40, 3);
  EXPECT_FALSE(table.give(7, {3, 1}, std::span(four).first(2), handles.data())) << "one is free, two are wanted";
  EXPECT_EQ(verdict(7, 3, 1, 40), Verdict::none) << "and still is";
  EXPECT_TRUE(table.give(7, {3, 1}, std::span(four).first(1), &one));
  EXPECT_EQ(one, 40u);
}

TEST_F(HandleTableTest, GivesNothingToAnybodyElse) {
  const abi::RightRef right{5, 6};
  std::uint32_t handle = 0;
  EXPECT_FALSE(table.give(7, table.owner_of(7), {&right, 1}, &handle)) << "nobody is there";
  table.begin(7, 3, 1);
  EXPECT_EQ(table.owner_of(7), (HandleTable::Owner{3, 1}));
  EXPECT_FALSE(table.give(7, {2, 1}, {&right, 1}, &handle));
  EXPECT_FALSE(table.give(7, {3, 0}, {&right, 1}, &handle));
  EXPECT_TRUE(table.give(7, {3, 1}, {&right, 1}, &handle));
  table.set(7, 4, 9, 9);
  table.forget_carried(7);
  EXPECT_EQ(verdict(7, 3, 1, handle), Verdict::none);
  EXPECT_EQ(verdict(7, 3, 1, 4), Verdict::held) << "control granted it";
  EXPECT_TRUE(table.give(7, {3, 1}, {&right, 1}, &handle));
  table.begin(7, 4, 1);
  EXPECT_EQ(verdict(7, 4, 1, handle), Verdict::none);
  EXPECT_EQ(verdict(7, 4, 1, 4), Verdict::none);
}

// ---- races

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

/// The same with three poll cores that give, find, move and drop, for whatever generation they think there is. Every right
/// names in its slot the generation that it was given to (modulo 4,096, as a word does).
TEST_F(HandleTableTest, NobodyIsGivenWhatWasCarriedToAnotherGeneration) {
  constexpr std::uint64_t kGiven = 3000;            // gifts that came in time, until this is enough
  constexpr std::uint32_t kGenerations = 3'000'000;  // or so many, on a machine that lets nobody else run
  constexpr std::uint32_t kGrants = 1u << 19;  // what the helper gives has this bit
  std::atomic<std::uint32_t> now{1};
  std::atomic<bool> stop{false};
  table.begin(7, 1, 0);
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> given{0};
  std::atomic<std::uint64_t> twice{0};
  const auto poll_core = [&](std::uint32_t core) {
    std::uint64_t nb_wrong = 0;
    std::uint64_t nb_twice = 0;
    for (std::uint32_t round = 1; !stop.load(std::memory_order_relaxed); ++round) {
      const std::uint32_t guess = now.load(std::memory_order_relaxed) + round % 3 - 1;
      const std::array<abi::RightRef, 2> rights{{{guess % 4096, core << 24 | round % 0xff'ffff},
                                                 {guess % 4096, (core + 8) << 24 | round % 0xff'ffff}}};
      std::array<std::uint32_t, 2> handles{};
      const bool done = table.give(7, {guess, 0}, rights, handles.data());
      for (std::uint32_t handle = 4; handle < abi::kHandlesMax; ++handle) {
        const HeldRight found = table.find(7, guess, 0, handle);
        if (found.verdict != Verdict::held) continue;
        nb_wrong += (found.slot & ~kGrants) != guess % 4096;
        nb_wrong += ((found.slot & kGrants) != 0) != abi::is_grant(handle);
      }
      if (!done) continue;
      given.fetch_add(1, std::memory_order_relaxed);
      // Only this core takes them back, so they are there until the helper clears the line for the next owner.
      for (std::size_t i = 0; i < 2; ++i) {
        if (table.take(7, handles[i], guess, rights[i])) continue;
        const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);  // it may be off its CPU right now
        while (table.owner_of(7).generation == guess && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
        nb_twice += table.owner_of(7).generation == guess;
      }
    }
    wrong += nb_wrong;
    twice += nb_twice;
  };
  std::vector<std::thread> cores;
  for (std::uint32_t core = 1; core <= 3; ++core) cores.emplace_back(poll_core, core);
  for (std::uint32_t generation = 2; generation < kGenerations && given.load(std::memory_order_relaxed) < kGiven; ++generation) {
    if (generation % 7 == 0) table.end(7);
    table.begin(7, generation, 0);
    table.set(7, 4, kGrants | generation % 4096, generation);
    now.store(generation, std::memory_order_relaxed);
    std::this_thread::yield();
  }
  stop.store(true);
  for (std::thread& core : cores) core.join();
  EXPECT_EQ(wrong.load(), 0u);
  EXPECT_EQ(twice.load(), 0u);
  EXPECT_GT(given.load(), 0u);
}

}  // namespace
}  // namespace pgrid::dataplane
