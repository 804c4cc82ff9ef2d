#include "dataplane/profile_command.hpp"

#include <string>

#include "dataplane/stage_clock.hpp"

namespace pgrid::dataplane {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

/// `figures_of(i)` of `count` poll cores or workers.
template <typename Stage, typename FiguresOf>
void tell(const std::string& who, std::uint32_t count, std::uint32_t stages, FiguresOf figures_of, dpdk::TelemetryDict& dict) {
  const auto sum = [&](auto word_of) {
    std::uint64_t total = 0;
    for (std::uint32_t i = 0; i < count; ++i) total += word_of(figures_of(i)).load(kRelaxed);
    return total;
  };
  const auto add = [&](const std::string& name, auto word_of) { dict.add((who + name).c_str(), sum(word_of)); };
  using Figures = const abi::StageFigures&;
  add("_measuring", [](Figures f) -> const auto& { return f.built; });
  add("_turns", [](Figures f) -> const auto& { return f.turns; });
  add("_empty_turns", [](Figures f) -> const auto& { return f.empty_turns; });
  add("_empty_ticks", [](Figures f) -> const auto& { return f.empty_ticks; });
  add("_stamp_ticks", [](Figures f) -> const auto& { return f.stamp_ticks; });
  for (std::uint32_t i = 0; i < stages; ++i) {
    const std::string stage = "_" + std::string(abi::name_of(static_cast<Stage>(i)));
    add(stage + "_ticks", [i](Figures f) -> const auto& { return f.stages[i].ticks; });
    add(stage + "_messages", [i](Figures f) -> const auto& { return f.stages[i].messages; });
    add(stage + "_bursts", [i](Figures f) -> const auto& { return f.stages[i].bursts; });
  }
}
// DPDK's limit of entries to a dictionary.
static_assert(2 + 2 * 5 + 3 * (abi::kPollStages + abi::kWorkerStages) <= 256);

}  // namespace

void tell_profile(const StatsSegment& stats, dpdk::TelemetryDict& dict) {
  dict.add("built", std::uint64_t{kProfile});
  if (!kProfile) return;
  dict.add("tsc_hz", stats.tsc_hz());
  const abi::Geometry& g = stats.geometry();
  tell<abi::PollStage>("poll", g.poll_cores, abi::kPollStages,
                       [&](std::uint32_t i) -> abi::StageFigures& { return stats.poll_stages(i); }, dict);
  tell<abi::WorkerStage>("worker", g.workers, abi::kWorkerStages,
                         [&](std::uint32_t i) -> abi::StageFigures& { return stats.worker_stages(i); }, dict);
}

}  // namespace pgrid::dataplane
