#include "dataplane/worker/worker_core.hpp"

#include <algorithm>
#include <utility>

#include "abi/shared/stats.hpp"

namespace pgrid::worker {
namespace {

/// Messages that can wait here at once: what poll cores may have in flight on one worker, as many notices again, and what
/// comes of guests' requests.
std::uint32_t pool_size(const abi::Geometry& geometry) {
  return geometry.poll_cores * 2 * abi::worker_in_flight_max(geometry) + abi::guest_requests_max(geometry);
}

}  // namespace

WorkerCore::WorkerCore(std::byte* segment, const abi::Geometry& geometry, std::uint32_t worker, std::uint64_t tsc_hz,
                       const wasm::Engine& engine, Ticker& ticker)
    : geometry_(geometry),
      engine_(engine),
      ticker_(ticker),
      clock_(tsc_hz),
      line_(*reinterpret_cast<abi::WorkerLine*>(segment + sizeof(abi::SegmentHeader))),
      replies_(segment, geometry),
      home_core_(abi::home_core(worker, geometry)),
      pool_(pool_size(geometry)),
      outstanding_(geometry),
      waiting_(geometry),
      slots_(abi::kProcessesMax),
      now_(clock_.now()),
      stages_(*reinterpret_cast<abi::StageFigures*>(segment + abi::worker_stages_offset(geometry))) {
  for (std::uint32_t core = 0; core < geometry.poll_cores; ++core)
    requests_[core] = abi::RingConsumer(segment + abi::request_ring_offset(geometry, core), geometry.request_ring);
}

// ---- rings to mailboxes

/// Deficit round robin (M. Shreedhar and G. Varghese, "Efficient Fair Queueing Using Deficit Round Robin", SIGCOMM 1995)
/// with CPU time for bytes. Nobody knows before what a message will cost, so the deficit is a debt, paid afterwards: a
/// process that ran for n quanta sits out n - 1 rounds in which others are served. Whose activations are short never
/// owes anything.
bool WorkerCore::turn() noexcept {
  stages_.begin_turn();
  if (!left_alone_.empty() || !waiting_events_.empty()) [[unlikely]] supervise();
  if (!giving_back_.empty()) [[unlikely]] tell_all_given_back();
  stages_.mark(abi::WorkerStage::start);
  for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core) drain(core);
  bool found = drained_ != 0;
  const InstanceSlot* const last = ready_.last();  // those that become ready again wait for the next turn
  const bool alone = ready_.first() == last;
  while (!ready_.empty()) {
    InstanceSlot& slot = ready_.pop();
    slot.ready = false;
    if (const InstanceSlot* next = ready_.first(); next != nullptr) next->fetch_instance();
    if (slot.debt_ns == 0 || may_run(slot, alone)) activate(slot);
    if (!slot.mailbox.empty() && !slot.left_alone) make_ready(slot);
    found = true;
    if (&slot == last) break;
  }
  if (drained_ != 0) release_rings();
  replies_.publish();
  stages_.mark(abi::WorkerStage::publish);
  stages_.end_turn(found);
  return found;
}

/// Reads each field of the record once: in the ring it may change, if the poll core is not honest.
inline void WorkerCore::accept(std::uint32_t poll_core, const abi::RingRecord& record) noexcept {
  const auto& request = *reinterpret_cast<const abi::WorkerRequest*>(record.data);
  static_assert(static_cast<std::uint32_t>(abi::Kind::request) == 0);
  if ((read_once(request.kind) | read_once(request.rights[0])) != 0) [[unlikely]]
    return accept_other(poll_core, record);
  const std::uint32_t reply_slot = read_once(request.reply_slot);
  keep(record, outstanding_.is_valid(reply_slot, poll_core) ? reply_slot : 0);
}

/// Puts a message into its mailbox, or says why not. `reply_slot` is Message's.
[[gnu::always_inline]] inline void WorkerCore::keep(const abi::RingRecord& record, std::uint32_t reply_slot) noexcept {
  const auto& request = *reinterpret_cast<const abi::WorkerRequest*>(record.data);
  const std::uint32_t process = read_once(request.process);
  const std::uint32_t reply_generation = read_once(request.reply_generation);
  InstanceSlot* slot = process < abi::kProcessesMax ? slots_[process].get() : nullptr;
  const auto say = [&](abi::Reason reason) { turn_away(record, reply_slot, reply_generation, reason); };
  if (slot == nullptr) return say(abi::Reason::busy);  // not loaded yet, or just removed: nothing was done
  if (slot->mailbox.count() >= slot->room) return say(slot->turned_away);
  const std::uint32_t index = pool_.take();
  if (index == kNoMessage) return say(abi::Reason::busy);

  Message& message = pool_[index];
  message.record = record.data;
  message.body_length = record.length - abi::kRecordHeader;
  message.reply_slot = reply_slot;
  message.reply_generation = reply_generation;
  message.offered = 0;
  slot->mailbox.push(pool_, index);
  if (!slot->ready) make_ready(*slot);
}

/// Whoever waits for an answer is told at once; what came with the message is given back.
void WorkerCore::turn_away(const abi::RingRecord& record, std::uint32_t reply_slot, std::uint32_t reply_generation,
                           abi::Reason reason) noexcept {
  const auto& request = *reinterpret_cast<const abi::WorkerRequest*>(record.data);
  if (abi::is_send_once(reply_slot)) refuse(read_once(request.process), reply_slot, reply_generation, reason);
  if (read_once(request.rights[0]) != 0) [[unlikely]] give_back(request);
  if (read_once(request.kind) != static_cast<std::uint8_t>(abi::Kind::notice)) return;
  abi::bump(line_.notices_lost);
  (void)replies_.drop(home_core_, read_once(request.process), 0, 0, /*notice_lost=*/true);  // so that it is counted
}

/// What is no request, or brings rights.
[[gnu::noinline]] void WorkerCore::accept_other(std::uint32_t poll_core, const abi::RingRecord& record) noexcept {
  const auto& request = *reinterpret_cast<const abi::WorkerRequest*>(record.data);
  const std::uint32_t process = read_once(request.process);
  const std::uint32_t for_whom = read_once(request.reply_generation);
  const auto kind = static_cast<abi::Kind>(read_once(request.kind));
  if (kind == abi::Kind::answer || kind == abi::Kind::non_commitment) return accept_answer(process, for_whom, record);

  std::uint32_t reply_slot = read_once(request.reply_slot);
  if (!outstanding_.is_valid(reply_slot, poll_core)) reply_slot = 0;
  InstanceSlot* slot = process < slots_.size() ? slots_[process].get() : nullptr;
  const std::uint32_t brought = read_once(request.rights[0]);
  // The index had another process when this was sent.
  if (slot != nullptr && brought != 0 && !abi::is_same_generation(slot->generation, abi::generation_of(brought)))
    return turn_away(record, reply_slot, for_whom, abi::Reason::busy);
  if (slot != nullptr && kind == abi::Kind::notice && for_whom != 0) {
    if (for_whom != slot->incarnation) return turn_away(record, 0, 0, abi::Reason::busy);
    slot->has_notices = true;
    reply_slot = kOwnNotice;
  }
  keep(record, reply_slot);
}

/// What came of a guest's request. There is room for it whatever waits: see WaitingRequests.
[[gnu::noinline]] void WorkerCore::accept_answer(std::uint32_t process, std::uint32_t incarnation,
                                                 const abi::RingRecord& record) noexcept {
  InstanceSlot* slot = process < slots_.size() ? slots_[process].get() : nullptr;
  const bool is_awaited = slot != nullptr && slot->incarnation != 0 && slot->incarnation == incarnation;
  const std::uint32_t index = is_awaited ? pool_.take() : kNoMessage;
  if (index == kNoMessage) {  // who asked is gone
    const auto& answer = *reinterpret_cast<const abi::WorkerRequest*>(record.data);
    if (read_once(answer.rights[0]) != 0) give_back(answer);
    return waiting_.remove(process);
  }
  Message& message = pool_[index];
  message.record = record.data;
  message.body_length = record.length - abi::kRecordHeader;
  message.reply_slot = kOwnAnswer;
  message.reply_generation = incarnation;
  message.offered = 0;
  slot->mailbox.push(pool_, index);
  if (!slot->ready) make_ready(*slot);
}

void WorkerCore::drain(std::uint32_t poll_core) noexcept {
  abi::RingConsumer ring = requests_[poll_core];  // a copy, so that its indices stay in registers
  std::uint32_t taken = 0;
  for (; taken < kDrainMax; ++taken) {
    const abi::RingRecord record = ring.front();
    if (!record) break;
    accept(poll_core, record);
    ring.pop();
  }
  requests_[poll_core] = ring;
  if (taken != 0) drained_ |= 1u << poll_core;
  stages_.mark(abi::WorkerStage::drain, taken);
}

/// After the guests ran: whoever has unread messages is in the ready list.
void WorkerCore::release_rings() noexcept {
  for (InstanceSlot* slot = ready_.first(); slot != nullptr; slot = slot->next) slot->mailbox.keep(pool_);
  for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core)
    if ((drained_ >> core & 1) != 0) requests_[core].release();
  drained_ = 0;
}

void WorkerCore::make_ready(InstanceSlot& slot) noexcept {
  slot.ready = true;
  slot.fetch_line();
  ready_.push(slot);
}

// ---- mailboxes to guests

/// A round for a process in debt. True: it is paid, or nobody else is waiting, and rounds pass as fast as one likes.
[[gnu::noinline]] bool WorkerCore::may_run(InstanceSlot& slot, bool alone) noexcept {
  slot.debt_ns = alone || slot.debt_ns <= kQuantumNs ? 0 : slot.debt_ns - kQuantumNs;
  return slot.debt_ns == 0;
}

void WorkerCore::activate(InstanceSlot& slot) noexcept {
  if (time_passed()) {  // while nobody's guest ran
    replies_.publish();
    charged_tick_ = seen_tick_;
    charged_ns_ = ticker_.used_ns();
    now_ = clock_.now();
  }
  if (!slot.instance && !revive(slot)) return;
  wake_ticker();
  slot.offered = std::min(slot.mailbox.count(), kActivationMax);
  slot.received = 0;
  slot.handling = 0;
  current_ = &slot;
  ticker_.begin(slot.limit_ns);
  const bool returned = slot.instance->activate(kGuestTicks);
  ticker_.end();
  current_ = nullptr;
  beat();
  abi::bump(line_.handled, slot.received);
  settle_unread(slot, !returned);
  if (!returned) [[unlikely]]
    after_stop(slot);
  else
    slot.handled |= slot.received != 0;
  if (slot.in_hand != nullptr) {
    slot.hops = read_once(reinterpret_cast<const abi::WorkerRequest*>(slot.in_hand)->hops);
    slot.in_hand = nullptr;
  }
  if (ticker_.ticks() != seen_tick_) {
    charge(slot);
    (void)time_passed();
    replies_.publish();
  }
  stages_.mark(abi::WorkerStage::activate, slot.received);
}

/// A tick passed while this process ran: what the worker thread used since the last one is put down to it. Never more
/// than the ticks say, so that time before it does not count, nor time that the host took from us.
[[gnu::noinline]] void WorkerCore::charge(InstanceSlot& slot) noexcept {
  const std::uint64_t tick = ticker_.ticks();
  const std::uint64_t used_ns = ticker_.used_ns();
  slot.debt_ns += std::min(used_ns - charged_ns_, (tick - charged_tick_) * kTickNs);
  charged_tick_ = tick;
  charged_ns_ = used_ns;
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
  if (given_up != 0) note_unread(slot, given_up);
  for (; given_up != 0; --given_up) refuse_front(slot, abi::Reason::broken);
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
  if (message.reply_slot == kOwnAnswer)
    waiting_.remove(slot.process);
  else if (abi::is_send_once(message.reply_slot))
    refuse(slot.process, message.reply_slot, message.reply_generation, reason);
  give_back_message(index);
}

void WorkerCore::refuse_waiting(InstanceSlot& slot, abi::Reason reason) noexcept {
  while (!slot.mailbox.empty()) refuse_front(slot, reason);
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
  now_ = clock_.now();
  ticker_.busy();
}

bool WorkerCore::corrupt() const noexcept {
  for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core)
    if (requests_[core].corrupt()) return true;
  return replies_.corrupt();
}

}  // namespace pgrid::worker
