// What control hears of processes: a flood is told now and then, the last of it always.
#include <algorithm>
#include <span>
#include <utility>

#include "dataplane/worker/worker_core.hpp"

namespace pgrid::worker {
namespace {

constexpr std::uint64_t kStopPeriodUs = 10'000;      // of one process: 100 restarts a second, and the last
constexpr std::uint64_t kTallyPeriodUs = 1'000'000;  // what a function does wrong without stopping

}  // namespace

void WorkerCore::report(InstanceSlot& slot, abi::Violation violation, std::string text, std::uint32_t back_off_ms) noexcept {
  UntoldStop& stop = slot.untold.stop;
  // That it stopped by itself is not forgotten because it was restarted since.
  if (!stop.waits || violation != abi::Violation::none) {
    stop.violation = violation;
    stop.text = std::move(text);
  }
  stop.back_off_ms = back_off_ms;
  stop.waits = true;
  tell_or_wait(slot);
}

/// It sent through a handle that it does not hold. Answers through one that was used up, or is too late, are no misuse.
[[gnu::noinline]] void WorkerCore::note_misused_handle(InstanceSlot& slot, std::uint32_t handle) noexcept {
  slot.untold.misused.handle = handle;
  if (slot.untold.misused.count++ == 0) tell_or_wait(slot);
}

[[gnu::noinline]] void WorkerCore::note_unread(InstanceSlot& slot, std::uint32_t messages) noexcept {
  const bool first = slot.untold.unread.count == 0;
  slot.untold.unread.count += messages;
  if (first) tell_or_wait(slot);
}

void WorkerCore::tell_or_wait(InstanceSlot& slot) noexcept {
  if (slot.event_waits || tell_what_is_due(slot, clock_.now(), /*at_once=*/false)) return;
  slot.event_waits = true;
  waiting_events_.push(slot);
}

/// True: nothing is left to tell. What finds no room keeps waiting.
bool WorkerCore::tell_what_is_due(InstanceSlot& slot, std::uint64_t now, bool at_once) noexcept {
  const auto is_due = [&](std::uint64_t told, std::uint64_t period_us) {
    return at_once || told == 0 || now - told >= clock_.ticks_of_us(period_us);
  };
  Untold& untold = slot.untold;
  if (untold.gave_up && gave_up_box_.put({slot.process, slot.generation, untold.gave_up_why})) untold.gave_up = false;
  if (untold.stop.waits && is_due(untold.stop.told, kStopPeriodUs) &&
      tell(slot, untold.stop.violation, untold.stop.back_off_ms, untold.stop.text)) {
    untold.stop.waits = false;
    untold.stop.told = now;
  }
  const auto tell_tally = [&](UntoldTally& tally, abi::Violation violation, const std::string& text) {
    if (!tell(slot, violation, 0, text)) return;
    tally.count = 0;
    tally.told = now;
  };
  if (untold.unread.count != 0 && is_due(untold.unread.told, kTallyPeriodUs))
    tell_tally(untold.unread, abi::Violation::unread,
               std::to_string(untold.unread.count) + " messages were offered to it twice, and it did not read them");
  if (untold.misused.count != 0 && is_due(untold.misused.told, kTallyPeriodUs))
    tell_tally(untold.misused, abi::Violation::handle,
               std::to_string(untold.misused.count) + " sends through handles that it does not hold, the last through " +
                   std::to_string(untold.misused.handle));
  return !untold.any();
}

/// False: no room in the ring.
bool WorkerCore::tell(InstanceSlot& slot, abi::Violation violation, std::uint32_t back_off_ms, std::string_view text) noexcept {
  const InstanceEvent event{.process = slot.process,
                            .process_generation = slot.generation,
                            .incarnation = slot.incarnation,
                            .restarts = slot.restarts.total(),
                            .back_off_ms = back_off_ms,
                            .violation = violation};
  text = text.substr(0, abi::kBodyMax);
  return replies_.event(home_core_, event, std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace pgrid::worker
