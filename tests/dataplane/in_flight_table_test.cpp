// The in-flight table: a send-once right fits exactly one message, deadlines are met, nothing is
// found that is not there.
#include "dataplane/in_flight_table.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace pgrid::dataplane {
namespace {

using Verdict = InFlightTable::Verdict;

TEST(InFlightTable, GivesEveryEntryOnceAndThenNone) {
  InFlightTable table(2, 8, 100);
  std::set<std::uint32_t> slots;
  for (int i = 0; i < 8; ++i) {
    InFlight* entry = table.take();
    ASSERT_NE(entry, nullptr);
    const std::uint32_t slot = table.slot_of(*entry);
    EXPECT_TRUE(abi::is_send_once(slot));
    EXPECT_EQ(abi::send_once_core(slot), 2u);
    slots.insert(slot);
  }
  EXPECT_EQ(slots.size(), 8u);
  EXPECT_EQ(table.take(), nullptr);
  EXPECT_EQ(table.in_use(), 8u);
}

TEST(InFlightTable, GenerationRisesAtEveryRelease) {
  InFlightTable table(0, 1, ~0u);  // about to wrap: 0 is never used
  InFlight* entry = table.take();
  const std::uint32_t slot = table.slot_of(*entry);
  const std::uint32_t first = entry->generation;
  EXPECT_EQ(table.find(slot, first).entry, entry);
  table.release(*entry);
  EXPECT_EQ(table.find(slot, first).verdict, Verdict::late);
  entry = table.take();
  EXPECT_EQ(entry->generation, 1u);
  EXPECT_EQ(table.find(slot, first).verdict, Verdict::late);
  EXPECT_EQ(table.find(slot, entry->generation).verdict, Verdict::waiting);
}

TEST(InFlightTable, TellsLateFromNonsense) {
  InFlightTable table(1, 4, 50);
  InFlight* entry = table.take();
  const std::uint32_t slot = table.slot_of(*entry);
  struct Case {
    const char* what;
    std::uint32_t slot;
    std::uint32_t generation;
    Verdict verdict;
  };
  const Case cases[] = {
      {"the right itself", slot, 50, Verdict::waiting},
      {"an earlier use", slot, 49, Verdict::late},
      {"much earlier", slot, 50 - 0x7fff'ffffu, Verdict::late},
      {"not handed out yet", slot, 51, Verdict::nonsense},
      {"a free entry's next generation", slot + 1, 50, Verdict::nonsense},
      {"another poll core", abi::send_once_slot(0, 0), 50, Verdict::nonsense},
      {"no send-once bit", slot & ~abi::kSendOnce, 50, Verdict::nonsense},
      {"spare bits set", slot | 1u << 20, 50, Verdict::nonsense},
      {"past the table", abi::send_once_slot(1, 4), 50, Verdict::nonsense},
      {"the last entry there could be", abi::send_once_slot(1, abi::kInFlightMax - 1), 50, Verdict::nonsense},
      {"zero", 0, 0, Verdict::nonsense},
      {"all ones", ~0u, ~0u, Verdict::nonsense},
  };
  for (const Case& c : cases) EXPECT_EQ(table.find(c.slot, c.generation).verdict, c.verdict) << c.what;
}

TEST(InFlightTable, SweepFindsExactlyWhatExpiredWithinItsBudget) {
  InFlightTable table(0, 64, 1);
  std::vector<InFlight*> entries;
  for (std::uint64_t i = 0; i < 40; ++i) {
    entries.push_back(table.take());
    entries.back()->deadline_tsc = 1000 + i;
  }
  std::uint32_t budget = 16;
  EXPECT_EQ(table.next_expired(999, budget), nullptr);
  EXPECT_EQ(budget, 0u);
  std::uint32_t found = 0;
  for (int turn = 0; turn < 4; ++turn) {  // 4 * 16 looks go round 40 entries once
    budget = 16;
    while (InFlight* entry = table.next_expired(1009, budget)) {
      EXPECT_LE(entry->deadline_tsc, 1009u);
      table.release(*entry);
      ++found;
    }
  }
  EXPECT_EQ(found, 10u);
  EXPECT_EQ(table.in_use(), 30u);
}

TEST(InFlightTable, VisitsAllInUseWhileTheyAreReleased) {
  InFlightTable table(0, 16, 1);
  std::vector<InFlight*> entries;
  for (int i = 0; i < 10; ++i) entries.push_back(table.take());
  table.release(*entries[3]);
  std::uint32_t cursor = 0;
  std::uint32_t visited = 0;
  while (InFlight* entry = table.next_in_use(cursor)) {
    table.release(*entry);
    ++visited;
  }
  EXPECT_EQ(visited, 9u);
  EXPECT_EQ(table.in_use(), 0u);
}

}  // namespace
}  // namespace pgrid::dataplane
