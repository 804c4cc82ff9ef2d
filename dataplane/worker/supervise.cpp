// Processes come, are restarted, left alone for a while, given up, and go.
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <utility>

#include "abi/shared/stats.hpp"
#include "dataplane/worker/worker_core.hpp"

namespace pgrid::worker {
namespace {

[[gnu::format(printf, 1, 2)]] std::string text_of(const char* format, ...) {
  char text[96];
  std::va_list values;
  va_start(values, format);
  const int length = std::vsnprintf(text, sizeof text, format, values);
  va_end(values);
  return {text, static_cast<std::size_t>(std::clamp(length, 0, static_cast<int>(sizeof text) - 1))};
}

/// Which limit a guest passed, and what was measured.
struct Evidence {
  abi::Violation violation = abi::Violation::trap;
  std::string text;  // goes behind what the engine says
};

Evidence evidence_of(const wasm::Stop& stop, InstanceSlot& slot, std::uint64_t used_ns) {
  switch (stop.why) {
    case wasm::Stop::Why::trap:
      break;
    case wasm::Stop::Why::time_limit:
      return {abi::Violation::time, text_of("; %.1f ms of CPU time for one message, it may use %.1f ms",
                                            static_cast<double>(used_ns) / 1e6, static_cast<double>(slot.limit_ns) / 1e6)};
    case wasm::Stop::Why::memory:
      return {abi::Violation::memory,
              text_of("; it has %llu KiB of memory, it may have %llu KiB",
                      static_cast<unsigned long long>(slot.instance->memory().size >> 10),
                      static_cast<unsigned long long>(slot.limits.memory_bytes >> 10))};
    case wasm::Stop::Why::stack:
      return {abi::Violation::stack, {}};
  }
  return {};
}

}  // namespace

WorkerCore::Attached WorkerCore::attach(std::unique_ptr<InstanceSlot> slot) {
  std::string text;
  if (slot->process >= slots_.size()) return {false, "process index out of range", std::move(slot)};
  // The old instance goes first: its place in the pool may be the one that the new one takes.
  std::unique_ptr<InstanceSlot> old;
  if (InstanceSlot* present = slots_[slot->process].get()) old = detach(present->process, present->generation);
  slot->room = slot->limits.mailbox;
  slot->limit_ns = std::uint64_t{slot->limits.time_limit_us} * 1000;
  if (slot->gave_up) {
    slot->room = 0;
    slot->turned_away = abi::Reason::process_failed;
  } else if (!rebuild(*slot, text)) {
    if (slot->event_waits) waiting_events_.remove(*slot);
    return {false, std::move(text), std::move(slot)};
  }
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
    (void)tell_what_is_due(*slot, clock_.now(), /*at_once=*/true);
  }
  replies_.publish();
  if (slot->ready) ready_.remove(*slot);
  if (slot->left_alone) left_alone_.remove(*slot);
  drop_instance(*slot);
  forget_given_back(*slot);
  return slot;
}

void WorkerCore::set_handle(std::uint32_t process, std::uint32_t generation, std::uint32_t handle, bool held) noexcept {
  InstanceSlot* slot = process < slots_.size() ? slots_[process].get() : nullptr;
  if (slot == nullptr || slot->generation != generation || !abi::is_grant(handle)) return;
  const std::uint64_t bit = std::uint64_t{1} << handle;
  slot->handles = held ? slot->handles | bit : slot->handles & ~bit;
}

/// Zeroes its memory and gives its place in the pool back. What came of its requests is nobody's now.
void WorkerCore::drop_instance(InstanceSlot& slot) noexcept {
  slot.incarnation = 0;
  slot.in_hand = nullptr;
  slot.hops = 0;
  if (!slot.instance) return;
  slot.instance.reset();
  line_.instances.fetch_sub(1, std::memory_order_relaxed);
  give_back_all(slot);
  if (waiting_.of(slot.process) == 0 && !slot.has_notices) return;
  slot.has_notices = false;
  slot.mailbox.remove_if(pool_, [&](std::uint32_t index) {
    const std::uint32_t reply_slot = pool_[index].reply_slot;
    if (reply_slot != kOwnAnswer && reply_slot != kOwnNotice) return false;
    if (reply_slot == kOwnAnswer) waiting_.remove(slot.process);
    give_back_message(index);
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
  slot.incarnation = next_incarnation();
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
  // What it read last was a request, and it is not in its hands any more.
  const bool has_answered =
      slot.handling == 0 && slot.in_hand != nullptr &&
      abi::is_send_once(reinterpret_cast<const abi::WorkerRequest*>(slot.in_hand)->reply_slot);
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
  if (std::exchange(slot.handled, false) || slot.received > (has_answered ? 0u : 1u)) slot.restarts.handled();
  Evidence evidence = evidence_of(stop, slot, ticker_.stopped_after_ns());
  evidence.text.insert(0, stop.text);
  abi::bump(line_.rebuilds);
  const Restarts::Verdict verdict = slot.restarts.count(clock_.now_ms(), slot.limits, false);
  if (verdict.gives_up) {
    give_up(slot, evidence.text);
  } else if (verdict.back_off_ms != 0) {
    leave_alone(slot, verdict.back_off_ms);
  } else if (std::string text; !rebuild(slot, text)) {
    return not_running(slot, text);
  }
  report(slot, evidence.violation, std::move(evidence.text), verdict.back_off_ms);
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
  const Restarts::Verdict verdict = slot.restarts.count(clock_.now_ms(), slot.limits, true);
  if (verdict.gives_up)
    give_up(slot, "not running: " + text);
  else
    leave_alone(slot, verdict.back_off_ms);
  report(slot, abi::Violation::init, "not running: " + text, verdict.back_off_ms);
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

/// No instance and no service until somebody restarts it. Nobody waits for it in vain: what is here and what comes is answered
/// `process_failed`.
void WorkerCore::give_up(InstanceSlot& slot, const std::string& text) noexcept {
  drop_instance(slot);
  refuse_waiting(slot, abi::Reason::process_failed);
  slot.room = 0;
  slot.turned_away = abi::Reason::process_failed;
  slot.gave_up = true;
  slot.untold.gave_up = true;
  slot.untold.gave_up_why =
      slot.limits.strategy == abi::RestartStrategy::never
          ? text_of("it stopped, and is never restarted by itself (--restart never): ")
          : text_of("it stopped %u times and was paused %u times without handling a message in between: ", slot.restarts.in_row(),
                    slot.restarts.pauses());
  slot.untold.gave_up_why += text;
}

bool WorkerCore::restart(std::uint32_t process, std::uint32_t generation) noexcept {
  InstanceSlot* const slot = process < slots_.size() ? slots_[process].get() : nullptr;
  if (slot == nullptr || slot->generation != generation) return false;
  if (std::exchange(slot->left_alone, false)) left_alone_.remove(*slot);
  slot->gave_up = slot->untold.gave_up = slot->handled = false;
  slot->turned_away = abi::Reason::busy;
  slot->room = slot->limits.mailbox;
  if (slot->unanswered != 0) {
    outstanding_.take_all(process, [&](const Outstanding& held) {
      refuse(process, held.slot, held.generation, abi::Reason::process_failed);
    });
    slot->unanswered = 0;
  }
  slot->restarts.begin_anew();
  abi::bump(line_.rebuilds);
  if (std::string text; rebuild(*slot, text))
    report(*slot, abi::Violation::none, "restarted, as it was asked to", 0);
  else
    not_running(*slot, text);
  if (!slot->mailbox.empty() && !slot->left_alone && !slot->ready) make_ready(*slot);
  replies_.publish();
  return true;
}

/// Numbers go with time, so that one is met again, also by a worker that was started again, only by an accident of 1 in 2^32:
/// a rebuild takes longer than a step of this clock.
std::uint32_t WorkerCore::next_incarnation() noexcept {
  constexpr int kStep = 11;  // 2,048 ticks: less than a microsecond at 3 GHz
  const auto time = static_cast<std::uint32_t>(clock_.now() >> kStep);
  incarnations_ = time == incarnations_ ? time + 1 : time;
  if (incarnations_ == 0) ++incarnations_;
  return incarnations_;
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
  waiting_events_.take_if([&](InstanceSlot& slot) { return tell_what_is_due(slot, now, /*at_once=*/false); },
                          [](InstanceSlot& slot) { slot.event_waits = false; });
}

}  // namespace pgrid::worker
