// Shows that every tick of a turn is put down to one stage, that turns which found nothing are rest, that parts are timed for one
// message in kLookEvery and not counted twice; and that a clock that is not built in is nothing and writes nothing.
#include "dataplane/stage_clock.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <type_traits>

namespace pgrid::dataplane {
namespace {

using abi::PollStage;
using abi::WorkerStage;

/// A clock that the test moves.
struct Hands {
  static inline std::uint64_t ticks = 0;
  static std::uint64_t now() noexcept { return ticks; }
};

using Measuring = StageClock<PollStage, true, Hands>;
using Absent = StageClock<PollStage, false, Hands>;

// What stands in the hot path of an ordinary build: no byte, no instruction.
static_assert(std::is_empty_v<Absent> && std::is_empty_v<StageClock<WorkerStage, false>>);
struct Neighbour {
  std::uint64_t before;
  [[no_unique_address]] Absent stages;
  bool behind;
};
struct Alone {
  std::uint64_t before;
  bool behind;
};
static_assert(sizeof(Neighbour) == sizeof(Alone));
constexpr bool stamps_are_constant() {
  Absent::begin_turn();
  Absent::mark(PollStage::rx, 32);
  Absent::look();
  Absent::part(PollStage::authorize);
  Absent::end_turn(true);
  return true;
}
static_assert(stamps_are_constant(), "a stamp that is not built in can be evaluated by the compiler, so it does nothing");
static_assert(kProfile == std::is_same_v<StageClock<PollStage>, StageClock<PollStage, true>>);

class StageClockTest : public testing::Test {
 protected:
  StageClockTest() { Hands::ticks = 1000; }
  static void pass(std::uint64_t ticks) { Hands::ticks += ticks; }
  [[nodiscard]] const abi::StageTime& at(PollStage stage) const { return figures->stages[static_cast<std::size_t>(stage)]; }
  [[nodiscard]] std::uint64_t all_ticks() const {
    std::uint64_t sum = figures->empty_ticks;
    for (auto stage = PollStage::start; stage != PollStage::authorize;
         stage = static_cast<PollStage>(static_cast<std::uint32_t>(stage) + 1))
      sum += at(stage).ticks;
    return sum;
  }
  std::unique_ptr<abi::StageFigures> figures = std::make_unique<abi::StageFigures>();
};

TEST_F(StageClockTest, EveryTickOfATurnBelongsToOneStage) {
  Measuring clock(*figures);
  EXPECT_EQ(figures->built, 1u);
  pass(7);
  clock.begin_turn();  // the 7 were before it
  pass(10);
  clock.mark(PollStage::start);
  pass(100);
  clock.mark(PollStage::rx, 32);
  pass(300);
  clock.mark(PollStage::parse, 32);
  pass(90);
  clock.mark(PollStage::rx, 8);  // the next burst
  EXPECT_EQ(at(PollStage::rx).ticks, 0u) << "told once a turn";
  clock.end_turn(true);
  EXPECT_EQ(at(PollStage::start).ticks, 10u);
  EXPECT_EQ(at(PollStage::rx).ticks, 190u);
  EXPECT_EQ(at(PollStage::rx).messages, 40u);
  EXPECT_EQ(at(PollStage::rx).bursts, 2u);
  EXPECT_EQ(at(PollStage::parse).ticks, 300u);
  EXPECT_EQ(at(PollStage::parse).bursts, 1u);
  EXPECT_EQ(figures->turns, 1u);
  EXPECT_EQ(figures->empty_ticks, 7u);
  EXPECT_EQ(all_ticks(), Hands::ticks - 1000);
}

TEST_F(StageClockTest, AStageWithoutMessagesIsNoBurst) {
  Measuring clock(*figures);
  clock.begin_turn();
  pass(5);
  clock.mark(PollStage::rx, 0);
  clock.end_turn(true);
  EXPECT_EQ(at(PollStage::rx).ticks, 5u);
  EXPECT_EQ(at(PollStage::rx).bursts, 0u);
}

TEST_F(StageClockTest, ATurnThatFoundNothingIsRest) {
  Measuring clock(*figures);
  for (int i = 0; i < 3; ++i) {
    clock.begin_turn();
    pass(4);
    clock.mark(PollStage::start);
    pass(6);
    clock.mark(PollStage::rx, 0);
    clock.end_turn(false);
    pass(1000);  // asleep
  }
  clock.begin_turn();
  EXPECT_EQ(figures->empty_turns, 3u);
  EXPECT_EQ(figures->turns, 0u);
  EXPECT_EQ(at(PollStage::rx).ticks, 0u);
  EXPECT_EQ(figures->empty_ticks, 3 * 1010u);
}

TEST_F(StageClockTest, PartsAreTimedForOneMessageInMany) {
  Measuring clock(*figures);
  clock.begin_turn();
  for (std::uint32_t i = 0; i < 2 * kLookEvery; ++i) {
    clock.look();
    pass(20);
    clock.part(PollStage::authorize);
    pass(30);
    clock.part(PollStage::dispatch);
  }
  clock.mark(PollStage::admit, 2 * kLookEvery);
  clock.end_turn(true);
  EXPECT_EQ(at(PollStage::authorize).messages, 2u);
  EXPECT_EQ(at(PollStage::authorize).ticks, 40u);
  EXPECT_EQ(at(PollStage::dispatch).ticks, 60u);
  EXPECT_EQ(at(PollStage::admit).ticks, 2 * kLookEvery * 50u);
  EXPECT_EQ(all_ticks(), Hands::ticks - 1000) << "what parts took is in their stage, not beside it";
}

TEST_F(StageClockTest, PartsOfAnEmptyTurnAreNotRestTwice) {
  Measuring clock(*figures);
  clock.begin_turn();
  for (std::uint32_t i = 0; i < kLookEvery; ++i) clock.look();
  pass(20);
  clock.part(PollStage::authorize);
  clock.mark(PollStage::admit);
  clock.end_turn(false);
  EXPECT_EQ(figures->empty_ticks, 20u);
}

TEST_F(StageClockTest, TheEndOfAStageEndsItsLook) {
  Measuring clock(*figures);
  clock.begin_turn();
  for (std::uint32_t i = 0; i < kLookEvery; ++i) clock.look();  // the last of them looks
  clock.mark(PollStage::admit, kLookEvery);
  pass(500);
  clock.part(PollStage::settle);  // of a message that nobody looked at
  clock.end_turn(true);
  EXPECT_EQ(at(PollStage::settle).messages, 0u);
}

TEST_F(StageClockTest, NotBuiltInItWritesNothing) {
  Absent clock(*figures);
  clock.begin_turn();
  pass(10);
  clock.look();
  clock.part(PollStage::authorize);
  clock.mark(PollStage::rx, 32);
  clock.end_turn(true);
  EXPECT_EQ(figures->built, 0u);
  EXPECT_EQ(figures->turns, 0u);
  EXPECT_EQ(all_ticks(), 0u);
}

TEST(StageNames, AreDifferentAndFitTelemetry) {
  for (std::uint32_t i = 0; i < abi::kPollStages; ++i) {
    const auto name = abi::name_of(static_cast<PollStage>(i));
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz"), std::string_view::npos) << name;
    for (std::uint32_t j = 0; j < i; ++j) EXPECT_NE(name, abi::name_of(static_cast<PollStage>(j)));
  }
}

}  // namespace
}  // namespace pgrid::dataplane
