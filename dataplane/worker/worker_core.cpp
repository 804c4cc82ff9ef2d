#include "dataplane/worker/worker_core.hpp"

#include <cstring>
#include <utility>

#include "abi/shared/stats.hpp"

namespace pgrid::worker {
namespace {

/// Requests that can wait here at once: what poll cores may have in flight on one worker, and as many notices again.
std::uint32_t pool_size(const abi::Geometry& geometry) {
  return geometry.poll_cores * 2 * abi::worker_in_flight_max(geometry);
}

std::uint32_t read_once(const std::uint32_t& shared) noexcept {
  return *static_cast<const volatile std::uint32_t*>(&shared);
}

}  // namespace

WorkerCore::WorkerCore(std::byte* segment, const abi::Geometry& geometry, std::uint32_t worker,
                       const wasm::Engine& engine, Ticker& ticker)
    : geometry_(geometry),
      engine_(engine),
      ticker_(ticker),
      line_(*reinterpret_cast<abi::WorkerLine*>(segment + sizeof(abi::SegmentHeader))),
      replies_(segment, geometry),
      home_core_(worker % geometry.poll_cores),
      pool_(pool_size(geometry)),
      outstanding_(geometry),
      slots_(abi::kProcessesMax) {
  for (std::uint32_t core = 0; core < geometry.poll_cores; ++core)
    requests_[core] = abi::RingConsumer(segment + abi::request_ring_offset(geometry, core), geometry.request_ring);
}

// ---- processes come and go

WorkerCore::Attached WorkerCore::attach(std::unique_ptr<InstanceSlot> slot) {
  std::string text;
  if (slot->process >= slots_.size()) return {false, "process index out of range", std::move(slot)};
  // The old instance goes first: its place in the pool may be the one that the new one takes.
  std::unique_ptr<InstanceSlot> old;
  if (InstanceSlot* present = slots_[slot->process].get()) old = detach(present->process, present->generation);
  if (!rebuild(*slot, text)) return {false, std::move(text), std::move(slot)};
  slots_[slot->process] = std::move(slot);
  return {true, {}, std::move(old)};
}

std::unique_ptr<InstanceSlot> WorkerCore::detach(std::uint32_t process, std::uint32_t generation) {
  if (process >= slots_.size() || slots_[process] == nullptr || slots_[process]->generation != generation) return {};
  std::unique_ptr<InstanceSlot> slot = std::move(slots_[process]);
  fail_waiting(*slot);
  outstanding_.take_all(process, [&](const Outstanding& held) {
    refuse(process, held.slot, held.generation, abi::Reason::process_failed);
  });
  replies_.publish();
  // Out of the ready list, which is walked in turn() only.
  InstanceSlot* before = nullptr;
  for (InstanceSlot* at = first_ready_; at != nullptr; before = at, at = at->next_ready) {
    if (at != slot.get()) continue;
    (before == nullptr ? first_ready_ : before->next_ready) = at->next_ready;
    if (last_ready_ == at) last_ready_ = before;
    break;
  }
  if (slot->instance) {
    slot->instance.reset();
    line_.instances.fetch_sub(1, std::memory_order_relaxed);
  }
  return slot;
}

/// Fresh memory, handles and all. False: `text` says why, and there is no instance.
bool WorkerCore::rebuild(InstanceSlot& slot, std::string& text) noexcept {
  if (slot.instance) {
    slot.instance.reset();  // zeroes the memory and gives its place back, before the next one takes a place
    line_.instances.fetch_sub(1, std::memory_order_relaxed);
  }
  wake_ticker();
  InstanceSlot* const running = std::exchange(current_, &slot);
  slot.offered = 0;  // pg_init and the start function may log, and find nothing to receive
  slot.handling = 0;
  ticker_.begin(slot.limit_ns());
  auto made = wasm::Instance::create(engine_, slot.code, {slot.limits.memory_bytes, kGuestTicks});
  if (made) {
    slot.instance.emplace(std::move(*made));
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
  if (slot.instance) line_.instances.fetch_add(1, std::memory_order_relaxed);
  return slot.instance.has_value();
}

// ---- rings to mailboxes

bool WorkerCore::turn() noexcept {
  for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core) drain(core);
  bool found = drained_ != 0;
  InstanceSlot* const last = last_ready_;  // those that become ready again wait for the next turn
  while (first_ready_ != nullptr) {
    InstanceSlot& slot = *first_ready_;
    first_ready_ = slot.next_ready;
    slot.ready = false;
    activate(slot);
    if (!slot.mailbox.empty()) make_ready(slot);
    found = true;
    if (&slot == last) break;
  }
  if (first_ready_ == nullptr) last_ready_ = nullptr;
  if (drained_ != 0) release_rings();
  replies_.publish();
  return found;
}

/// Reads each field of the record once: in the ring it may change, if the poll core is not honest.
inline void WorkerCore::accept(std::uint32_t poll_core, const abi::RingRecord& record) noexcept {
  const auto& request = *reinterpret_cast<const abi::WorkerRequest*>(record.data);
  const std::uint32_t process = read_once(request.process);
  const std::uint32_t reply_slot = read_once(request.reply_slot);
  const std::uint32_t reply_generation = read_once(request.reply_generation);
  const bool answerable = reply_slot != 0 && outstanding_.is_valid(reply_slot, poll_core);
  const auto say = [&](abi::Reason reason) {
    if (answerable) refuse(process, reply_slot, reply_generation, reason);
  };
  InstanceSlot* slot = process < slots_.size() ? slots_[process].get() : nullptr;
  if (slot == nullptr) return say(abi::Reason::busy);  // not loaded yet, or just removed: nothing was done
  if (slot->mailbox.count() >= slot->limits.mailbox) return say(abi::Reason::busy);
  const std::uint32_t index = pool_.take();
  if (index == kNoMessage) return say(abi::Reason::busy);

  Message& message = pool_[index];
  message.record = record.data;
  message.body_length = record.length - abi::kRecordHeader;
  message.reply_slot = answerable ? reply_slot : 0;
  message.reply_generation = reply_generation;
  message.offered = 0;
  slot->mailbox.push(pool_, index);
  if (!slot->ready) make_ready(*slot);
}

void WorkerCore::drain(std::uint32_t poll_core) noexcept {
  abi::RingConsumer& ring = requests_[poll_core];
  for (std::uint32_t taken = 0; taken < kDrainMax; ++taken) {
    const abi::RingRecord record = ring.front();
    if (!record) return;
    accept(poll_core, record);
    ring.pop();
    drained_ |= 1u << poll_core;
  }
}

/// After the guests ran: whoever has unread messages is in the ready list.
void WorkerCore::release_rings() noexcept {
  for (InstanceSlot* slot = first_ready_; slot != nullptr; slot = slot->next_ready) slot->mailbox.keep(pool_);
  for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core)
    if ((drained_ >> core & 1) != 0) requests_[core].release();
  drained_ = 0;
}

void WorkerCore::make_ready(InstanceSlot& slot) noexcept {
  slot.ready = true;
  slot.next_ready = nullptr;
  if (first_ready_ == nullptr)
    first_ready_ = &slot;
  else
    last_ready_->next_ready = &slot;
  last_ready_ = &slot;
}

// ---- mailboxes to guests

void WorkerCore::activate(InstanceSlot& slot) noexcept {
  if (!slot.instance) {  // the last rebuild failed; whoever sends now makes it try again
    if (std::string text; !rebuild(slot, text)) {
      report(slot.process, "still not running: " + text);
      refuse_front(slot, abi::Reason::broken);
      return fail_waiting(slot);
    }
  }
  wake_ticker();
  slot.offered = std::min(slot.mailbox.count(), kActivationMax);
  slot.received = 0;
  slot.handling = 0;
  current_ = &slot;
  ticker_.begin(slot.limit_ns());
  const bool returned = slot.instance->activate(kGuestTicks);
  ticker_.end();
  current_ = nullptr;
  settle_unread(slot, !returned);
  if (!returned) [[unlikely]] after_stop(slot);
  if (time_passed()) replies_.publish();
}

/// Counts an offer for what the guest left unread, and gives up on what it has left twice. A guest that stopped after it
/// read something has not refused the rest; one that stopped before it read anything has, or it would stop for ever.
void WorkerCore::settle_unread(InstanceSlot& slot, bool stopped) noexcept {
  if (slot.offered == 0 || (stopped && slot.received != 0)) return;
  std::uint32_t index = slot.mailbox.front();
  std::uint32_t given_up = 0;  // all older ones were offered at least as often, so these are the first ones
  for (std::uint32_t i = 0; i < slot.offered; ++i) {
    Message& message = pool_[index];
    given_up += ++message.offered >= kOffersMax;
    index = message.next;
  }
  for (; given_up != 0; --given_up) refuse_front(slot, abi::Reason::broken);
}

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
  report(slot.process, stop.text);
  abi::bump(line_.rebuilds);
  if (std::string text; !rebuild(slot, text)) report(slot.process, "not running: " + text);
}

// ---- answers that are not the guest's

void WorkerCore::refuse(std::uint32_t process, std::uint32_t slot, std::uint32_t generation,
                        abi::Reason reason) noexcept {
  // Cannot fail while poll cores keep to worker_in_flight_max; if one does not, its deadline answers.
  (void)replies_.answer(process, slot, generation, abi::Kind::non_commitment, reason, {});
}

void WorkerCore::refuse_front(InstanceSlot& slot, abi::Reason reason) noexcept {
  const std::uint32_t index = slot.mailbox.pop(pool_);
  const Message& message = pool_[index];
  if (message.reply_slot != 0) refuse(slot.process, message.reply_slot, message.reply_generation, reason);
  pool_.give_back(index);
}

void WorkerCore::fail_waiting(InstanceSlot& slot) noexcept {
  while (!slot.mailbox.empty()) refuse_front(slot, abi::Reason::process_failed);
}

void WorkerCore::report(std::uint32_t process, const std::string& text) noexcept {
  const std::size_t length = std::min<std::size_t>(text.size(), abi::kBodyMax);
  (void)replies_.tell(home_core_, abi::ReplyType::event, process, abi::Reason::broken,
                      std::as_bytes(std::span(text.data(), length)));
}

void WorkerCore::beat() noexcept { abi::bump(line_.heartbeat); }

void WorkerCore::rest() noexcept {
  if (std::exchange(resting_, true)) return;
  ticker_.idle();
}

/// Before a guest runs: without ticks its limit would never pass.
void WorkerCore::wake_ticker() noexcept {
  if (!resting_) return;
  resting_ = false;
  ticker_.busy();
}

bool WorkerCore::corrupt() const noexcept {
  for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core)
    if (requests_[core].corrupt()) return true;
  return replies_.corrupt();
}

}  // namespace pgrid::worker
