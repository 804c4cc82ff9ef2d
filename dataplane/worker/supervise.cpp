// Processes come, are restarted, left alone for a while, and go.
#include <algorithm>
#include <span>
#include <utility>

#include "abi/shared/stats.hpp"
#include "dataplane/worker/worker_core.hpp"

namespace pgrid::worker {
namespace {

constexpr std::uint64_t kEventPeriodUs = 10'000;  // of one process: control hears of 100 restarts a second, and of the last

}  // namespace

WorkerCore::Attached WorkerCore::attach(std::unique_ptr<InstanceSlot> slot) {
  std::string text;
  if (slot->process >= slots_.size()) return {false, "process index out of range", std::move(slot)};
  // The old instance goes first: its place in the pool may be the one that the new one takes.
  std::unique_ptr<InstanceSlot> old;
  if (InstanceSlot* present = slots_[slot->process].get()) old = detach(present->process, present->generation);
  slot->room = slot->limits.mailbox;
  slot->limit_ns = std::uint64_t{slot->limits.time_limit_us} * 1000;
  if (!rebuild(*slot, text)) return {false, std::move(text), std::move(slot)};
  slots_[slot->process] = std::move(slot);
  return {true, {}, std::move(old)};
}

std::unique_ptr<InstanceSlot> WorkerCore::detach(std::uint32_t process, std::uint32_t generation) {
  if (process >= slots_.size() || slots_[process] == nullptr || slots_[process]->generation != generation) return {};
  std::unique_ptr<InstanceSlot> slot = std::move(slots_[process]);
  refuse_waiting(*slot, abi::Reason::process_failed);
  outstanding_.take_all(process, [&](const Outstanding& held) {
    refuse(process, held.slot, held.generation, abi::Reason::process_failed);
  });
  if (slot->event_waits) {
    waiting_events_.remove(*slot);
    (void)tell_event(*slot);
  }
  replies_.publish();
  if (slot->ready) ready_.remove(*slot);
  if (slot->left_alone) left_alone_.remove(*slot);
  drop_instance(*slot);
  return slot;
}

void WorkerCore::set_handle(std::uint32_t process, std::uint32_t generation, std::uint32_t handle, bool held) noexcept {
  InstanceSlot* slot = process < slots_.size() ? slots_[process].get() : nullptr;
  if (slot == nullptr || slot->generation != generation || !abi::is_grant(handle)) return;
  slot->handles = held ? slot->handles | 1u << handle : slot->handles & ~(1u << handle);
}

/// Zeroes its memory and gives its place in the pool back. What came of its requests is nobody's now.
void WorkerCore::drop_instance(InstanceSlot& slot) noexcept {
  slot.incarnation = 0;
  slot.in_hand = nullptr;
  slot.hops = 0;
  if (!slot.instance) return;
  slot.instance.reset();
  line_.instances.fetch_sub(1, std::memory_order_relaxed);
  if (waiting_.of(slot.process) == 0) return;
  slot.mailbox.remove_if(pool_, [&](std::uint32_t index) {
    if (pool_[index].reply_slot != kOwnAnswer) return false;
    waiting_.remove(slot.process);
    pool_.give_back(index);
    return true;
  });
}

/// Fresh memory, handles and all. False: `text` says why, and there is no instance.
bool WorkerCore::rebuild(InstanceSlot& slot, std::string& text) noexcept {
  drop_instance(slot);  // before the next one takes a place
  wake_ticker();
  InstanceSlot* const running = std::exchange(current_, &slot);
  slot.offered = 0;  // pg_init and the start function may send, and find nothing to receive
  slot.handling = 0;
  if (++incarnations_ == 0) ++incarnations_;
  slot.incarnation = incarnations_;
  beat();
  ticker_.begin(slot.limit_ns);
  auto made = wasm::Instance::create(engine_, slot.code, {slot.limits.memory_bytes, kGuestTicks});
  if (made) {
    slot.instance.emplace(std::move(*made));
    beat();
    ticker_.next();
    if (!slot.instance->initialise(kGuestTicks)) {
      text = "pg_init: " + slot.instance->take_stop().text;
      slot.instance.reset();
    }
  } else {
    text = made.error().text;
  }
  ticker_.end();
  current_ = running;
  if (slot.instance)
    line_.instances.fetch_add(1, std::memory_order_relaxed);
  else
    slot.incarnation = 0;
  return slot.instance.has_value();
}

/// The guest stopped: what it had in hand is settled, and a fresh instance goes on, unless that happened too often.
void WorkerCore::after_stop(InstanceSlot& slot) noexcept {
  const wasm::Stop stop = slot.instance->take_stop();
  if (slot.handling != 0) {
    Outstanding& held = outstanding_.at(slot.handling);
    refuse(slot.process, held.slot, held.generation, abi::Reason::broken);
    held.slot = 0;
    if (slot.unanswered != 0) --slot.unanswered;
  }
  if (slot.unanswered != 0) {
    outstanding_.take_all(slot.process, [&](const Outstanding& held) {
      refuse(slot.process, held.slot, held.generation, abi::Reason::process_failed);
    });
    slot.unanswered = 0;
  }
  abi::bump(line_.rebuilds);
  const std::uint32_t back_off_ms = slot.restarts.count(clock_.now_ms(), slot.limits, false);
  report(slot, stop.text, back_off_ms);
  if (back_off_ms != 0) return leave_alone(slot, back_off_ms);
  if (std::string text; !rebuild(slot, text)) not_running(slot, text);
}

/// A message waits for a process that has no instance. False: nor can one be made.
bool WorkerCore::revive(InstanceSlot& slot) noexcept {
  std::string text;
  if (rebuild(slot, text)) return true;
  not_running(slot, text);
  refuse_waiting(slot, abi::Reason::busy);  // no instance saw them
  return false;
}

void WorkerCore::not_running(InstanceSlot& slot, const std::string& text) noexcept {
  abi::bump(line_.rebuilds);
  const std::uint32_t back_off_ms = slot.restarts.count(clock_.now_ms(), slot.limits, true);
  report(slot, "not running: " + text, back_off_ms);
  leave_alone(slot, back_off_ms);
}

/// No instance and no service for a while: what comes meanwhile is answered `busy`, what waits stays.
void WorkerCore::leave_alone(InstanceSlot& slot, std::uint32_t back_off_ms) noexcept {
  drop_instance(slot);
  slot.mailbox.keep(pool_);
  slot.room = 0;
  slot.serve_again = clock_.now() + clock_.ticks_of_us(std::uint64_t{back_off_ms} * 1000);
  slot.left_alone = true;
  left_alone_.push(slot);
}

/// What is due by time. Called in turns in which there is such a thing at all.
void WorkerCore::supervise() noexcept {
  const std::uint64_t now = clock_.now();
  left_alone_.take_if([now](const InstanceSlot& slot) { return now >= slot.serve_again; },
                      [this](InstanceSlot& slot) {
                        slot.left_alone = false;
                        slot.room = slot.limits.mailbox;
                        if (!slot.mailbox.empty()) make_ready(slot);
                      });
  waiting_events_.take_if([&](InstanceSlot& slot) { return is_event_due(slot, now) && tell_event(slot); },
                          [](InstanceSlot& slot) { slot.event_waits = false; });
}

// ---- events: a flood of restarts is told now and then, the last one always

void WorkerCore::report(InstanceSlot& slot, const std::string& text, std::uint32_t back_off_ms) noexcept {
  slot.event_text = text;
  slot.event_back_off_ms = back_off_ms;
  if (slot.event_waits) return;
  if (is_event_due(slot, clock_.now()) && tell_event(slot)) return;
  slot.event_waits = true;
  waiting_events_.push(slot);
}

bool WorkerCore::is_event_due(const InstanceSlot& slot, std::uint64_t now) const noexcept {
  return slot.event_told == 0 || now - slot.event_told >= clock_.ticks_of_us(kEventPeriodUs);
}

/// False: no room in the ring; it keeps waiting.
bool WorkerCore::tell_event(InstanceSlot& slot) noexcept {
  const std::span text(slot.event_text.data(), std::min<std::size_t>(slot.event_text.size(), abi::kBodyMax));
  if (!replies_.tell(home_core_, abi::ReplyType::event, slot.process, abi::Reason::broken, std::as_bytes(text),
                     slot.restarts.total(), slot.event_back_off_ms))
    return false;
  slot.event_told = clock_.now();
  return true;
}

}  // namespace pgrid::worker
