// Measures where a turn's time goes, in a build with -Dprofile=true. In any other build a clock is an empty object whose
// members do nothing, so that the code around them is compiled as if they were not there: the stamps may stand in the hot path.
//
// Every tick is put down to one stage: `mark` names the stage that has just ended. Stamps are a burst apart. What happens message
// by message inside a stage is timed for one message in kLookEvery (`look`, then `part` by `part`): reading the clock takes 10 ns,
// and would otherwise be a tenth of what it measures.
#pragma once

#include <cstdint>

#include "abi/shared/stages.hpp"

namespace pgrid::dataplane {

#if defined(PGRID_PROFILE)
inline constexpr bool kProfile = true;
#else
inline constexpr bool kProfile = false;
#endif

/// The counter that the poll cores' clock and the worker's read too.
struct TimeStampCounter {
  [[nodiscard]] static std::uint64_t now() noexcept {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    std::uint64_t ticks;
    asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
#error "which counter is it here?"
#endif
  }
};

inline constexpr std::uint32_t kLookEvery = 31;  // a prime: it does not fall on the same place of every burst

/// Not built in.
template <typename Stage, bool kBuilt = kProfile, typename Ticks = TimeStampCounter>
class StageClock {
 public:
  explicit StageClock(abi::StageFigures&) noexcept {}
  static constexpr void begin_turn() noexcept {}
  static constexpr void mark(Stage, std::uint64_t = 0) noexcept {}
  static constexpr void end_turn(bool) noexcept {}
  static constexpr void look() noexcept {}
  static constexpr void part(Stage) noexcept {}
};

/// Owned by the thread whose turns it measures. The figures outlive it, and have no other writer.
template <typename Stage, typename Ticks>
class StageClock<Stage, true, Ticks> {
 public:
  explicit StageClock(abi::StageFigures& figures) noexcept : figures_(&figures), last_(Ticks::now()) {
    constexpr int kTries = 64;  // the quickest of them was not interrupted
    std::uint64_t least = ~std::uint64_t{0};
    for (int i = 0; i < kTries; ++i) {
      const std::uint64_t before = Ticks::now();
      const std::uint64_t after = Ticks::now();
      if (after - before < least) least = after - before;
    }
    figures_->stamp_ticks.store(least, std::memory_order_relaxed);
    figures_->built.store(1, std::memory_order_relaxed);
    last_ = Ticks::now();
  }

  /// What went before belongs to no turn.
  void begin_turn() noexcept {
    const std::uint64_t now = Ticks::now();
    add(figures_->empty_ticks, now - last_);
    last_ = now;
  }

  /// `stage` has just ended; so many messages went through it.
  void mark(Stage stage, std::uint64_t messages = 0) noexcept {
    const std::uint64_t now = Ticks::now();
    Time& time = turn_[static_cast<std::uint32_t>(stage)];
    time.ticks += now - last_;
    time.messages += messages;
    time.bursts += messages != 0;
    last_ = now;
    looks_ = false;
  }

  /// A turn that found nothing counts as rest: its stages would only say how often it looked.
  void end_turn(bool found) noexcept {
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < abi::kStagesMax; ++i) {
      Time& time = turn_[i];
      if (found) {
        add(figures_->stages[i].ticks, time.ticks);
        add(figures_->stages[i].messages, time.messages);
        add(figures_->stages[i].bursts, time.bursts);
      }
      if (!time.is_part) sum += time.ticks;
      time = {};
    }
    add(found ? figures_->turns : figures_->empty_turns, 1);
    if (!found) add(figures_->empty_ticks, sum);
  }

  /// A message begins.
  void look() noexcept {
    looks_ = ++seen_ % kLookEvery == 0;
    if (looks_) part_began_ = Ticks::now();
  }
  /// `stage`, a part of another one, has just ended for that message.
  void part(Stage stage) noexcept {
    if (!looks_) return;
    const std::uint64_t now = Ticks::now();
    Time& time = turn_[static_cast<std::uint32_t>(stage)];
    time.is_part = true;
    time.ticks += now - part_began_;
    ++time.messages;
    ++time.bursts;
    part_began_ = now;
  }

 private:
  /// Of the turn under way.
  struct Time {
    std::uint64_t ticks = 0;
    std::uint64_t messages = 0;
    std::uint64_t bursts = 0;
    bool is_part = false;
  };
  static void add(std::atomic<std::uint64_t>& word, std::uint64_t n) noexcept {
    word.store(word.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }

  abi::StageFigures* figures_;
  std::uint64_t last_;
  std::uint64_t part_began_ = 0;
  std::uint32_t seen_ = 0;
  bool looks_ = false;
  Time turn_[abi::kStagesMax];
};

}  // namespace pgrid::dataplane
