// receive and send, straight between a guest's memory, its mailbox and the reply rings (abi/guest/promisegrid.h).
// Nothing that a guest passes is believed; every refusal is a number it gets back.
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

#include "abi/shared/stats.hpp"
#include "dataplane/worker/guest_message.hpp"
#include "dataplane/worker/worker_core.hpp"

namespace pgrid::worker {
namespace {

bool is_well_formed(const std::byte* message) noexcept {
  return PG_LOAD(message, version) == PG_ABI_VERSION && PG_LOAD(message, kind) < abi::kKindCount &&
         PG_LOAD(message, reason) < abi::kReasonCount &&
         (PG_LOAD(message, label) | load<std::uint64_t>(message, offsetof(pg_message, reserved))) == 0;
}

bool carries_rights(const std::byte* message) noexcept {
  return load<std::uint32_t>(message, offsetof(pg_message, rights_mode)) != 0;
}

/// The first half of the header as a guest sees it, in three stores instead of six; it reads narrower, which does not stall.
void store_head(std::byte* buffer, std::uint8_t kind, std::uint16_t reason, std::uint32_t reply,
                std::uint32_t body_length) noexcept {
  static_assert(std::endian::native == std::endian::little && offsetof(pg_message, kind) == 1 &&
                offsetof(pg_message, reason) == 2 && offsetof(pg_message, to) == 4 && offsetof(pg_message, reply) == 8 &&
                offsetof(pg_message, body_length) == 12);
  store<std::uint64_t>(buffer, 0, PG_ABI_VERSION | kind << 8 | std::uint32_t{reason} << 16 | std::uint64_t{PG_HANDLE_SELF} << 32);
  store<std::uint64_t>(buffer, 8, reply | std::uint64_t{body_length} << 32);
}

/// The compiler must not know that a body has at most 1,024 bytes: GCC 12 would copy it by `rep movsq` instead of calling
/// memcpy, which made a message 18 ns slower (bench/micro/activation_bench, burst of 32: 83 ns, this way 65).
std::size_t unknown(std::size_t length) noexcept {
  asm("" : "+r"(length));
  return length;
}

}  // namespace

/// Takes a message away that the guest will not see.
[[gnu::noinline]] void WorkerCore::drop_front(InstanceSlot& slot) noexcept {
  give_back_message(slot.mailbox.pop(pool_));
  --slot.offered;
}

inline std::int32_t WorkerCore::receive(std::uint32_t pointer, std::uint32_t capacity) noexcept {
  InstanceSlot& slot = *current_;
  if (slot.offered == 0) return 0;
  if (ticker_.ticks() != seen_tick_) [[unlikely]] {
    charge(slot);
    now_ = clock_.now();
    // One message at least, so that everybody gets on; the rest was not offered, and waits for the next round.
    if (slot.debt_ns >= kQuantumNs && slot.received != 0) return static_cast<std::int32_t>(slot.offered = 0);
  }
  const std::uint32_t index = skip_expired(slot);
  if (index == kNoMessage) [[unlikely]] return 0;
  // Into registers one by one: a copy of the whole would go through the stack.
  const std::byte* const record = pool_[index].record;
  const std::uint32_t body_length = pool_[index].body_length;
  const std::uint32_t reply_slot = pool_[index].reply_slot;
  const std::uint32_t reply_generation = pool_[index].reply_generation;
  const std::uint32_t length = sizeof(pg_message) + body_length;
  if (capacity < length) return PG_ERROR_LENGTH;
  std::byte* buffer = slot.instance->translate(pointer, length);
  if (buffer == nullptr) return PG_ERROR_POINTER;

  const auto& header = *reinterpret_cast<const abi::WorkerRequest*>(record);  // a ring's: each field read once
  std::uint32_t reply = PG_HANDLE_NONE;
  std::uint64_t label = header.label;
  slot.buffer = buffer;
  slot.in_hand = record;
  slot.handling = 0;
  if (abi::is_send_once(reply_slot)) [[likely]] {
    slot.handling = reply_slot;
    reply = ReplyHandle(reply_slot, reply_generation).value();
    Outstanding& entry = outstanding_.at(reply_slot);
    if (entry.slot != 0) [[unlikely]] forget(entry);
    entry.slot = reply_slot;
    entry.generation = reply_generation;
    entry.process = slot.process;
    ++slot.unanswered;
  } else if (reply_slot == kOwnAnswer) {
    waiting_.remove(slot.process);
    label = 0;
  }
  store_head(buffer, header.kind, header.reason, reply, body_length);
  std::memcpy(buffer + offsetof(pg_message, id), header.id, sizeof header.id);
  PG_STORE(buffer, label, label);
  PG_STORE(buffer, deadline_us, header.deadline_us);
  if (header.rights[0] == 0) [[likely]] {
    store<std::uint64_t>(buffer, offsetof(pg_message, rights), 0);
    store<std::uint64_t>(buffer, offsetof(pg_message, rights) + sizeof(std::uint64_t), 0);
  } else {
    hand_over(slot, header, buffer);
  }
  store<std::uint32_t>(buffer, offsetof(pg_message, rights_mode), 0);
  store<std::uint64_t>(buffer, offsetof(pg_message, reserved), 0);
  std::memcpy(buffer + sizeof(pg_message), record + abi::kRecordHeader, unknown(body_length));

  (void)slot.mailbox.pop(pool_);
  pool_.give_back(index);
  --slot.offered;
  ++slot.received;
  ticker_.next();
  if (time_passed()) [[unlikely]] after_tick(slot);
  return static_cast<std::int32_t>(length);
}

/// A tick passed since the guest took its last message.
[[gnu::noinline]] void WorkerCore::after_tick(InstanceSlot& slot) noexcept {
  beat();
  replies_.publish();
  slot.instance->restart_limit(kGuestTicks);
}

/// A send-once right that was read, not answered and settled by its poll core when its deadline passed.
[[gnu::noinline]] void WorkerCore::forget(const Outstanding& entry) noexcept {
  InstanceSlot* holder = slots_[entry.process].get();
  if (holder != nullptr && holder->unanswered != 0) --holder->unanswered;
}

/// The first message that may still be answered, or kNoMessage: the poll core of others has answered `no_answer`, or is
/// about to. Answers and notices have no deadline of their own.
inline std::uint32_t WorkerCore::skip_expired(InstanceSlot& slot) noexcept {
  for (;;) {
    const std::uint32_t index = slot.mailbox.front();
    const Message& message = pool_[index];
    const auto& header = *reinterpret_cast<const abi::WorkerRequest*>(message.record);
    if (!clock_.is_past(now_, header.dispatched_tsc, header.deadline_us)) [[likely]] return index;
    if (!abi::is_send_once(message.reply_slot) || header.deadline_us == 0) return index;
    drop_front(slot);
    if (slot.offered == 0) return kNoMessage;
  }
}

inline std::int32_t WorkerCore::answer(std::uint32_t handle, abi::Kind kind, abi::Reason reason,
                                       std::span<const std::byte> body) noexcept {
  const bool fits = kind == abi::Kind::answer ? reason == abi::Reason::none
                                              : kind == abi::Kind::non_commitment && reason != abi::Reason::none;
  if (!fits) return PG_ERROR_MESSAGE;
  InstanceSlot& slot = *current_;
  Outstanding* held = outstanding_.find(ReplyHandle(handle), slot.process);
  if (held == nullptr) return PG_ERROR_HANDLE;
  if (!replies_.answer(slot.process, held->slot, held->generation, kind, reason, body)) return PG_ERROR_BUSY;
  answered(slot, *held);
  return 0;
}

/// To a right that the process holds, by way of the home poll core, which knows what the handle means. It inherits from
/// the message in hand: one hop more, and no more time than that one has left.
std::int32_t WorkerCore::request(const std::byte* message, std::uint32_t handle, std::span<const std::byte> body,
                                 const CarriedOut* carried) noexcept {
  InstanceSlot& slot = *current_;
  if (!waiting_.is_room(slot.process)) return PG_ERROR_BUSY;
  std::uint32_t deadline_us = PG_LOAD(message, deadline_us);
  std::uint32_t hops = slot.hops;
  if (slot.in_hand != nullptr) {
    const auto& in_hand = *reinterpret_cast<const abi::WorkerRequest*>(slot.in_hand);
    hops = in_hand.hops;
    if (in_hand.kind != static_cast<std::uint8_t>(abi::Kind::notice)) {
      const std::uint32_t left_us = clock_.left_us(clock_.now(), in_hand.dispatched_tsc, in_hand.deadline_us);
      deadline_us = deadline_us == 0 ? left_us : std::min(deadline_us, left_us);
    }
  }
  const GuestRequest sent{.process = slot.process,
                          .process_generation = slot.generation,
                          .incarnation = slot.incarnation,
                          .handle = handle,
                          .deadline_us = deadline_us,
                          .hops = static_cast<std::uint8_t>(std::min(hops + 1, 255u)),
                          .carried = carried,
                          .id = load<std::uint64_t>(message, offsetof(pg_message, id))};
  if (!replies_.request(home_core_, sent, body)) return PG_ERROR_BUSY;
  waiting_.add(slot.process);
  return 0;
}

inline std::int32_t WorkerCore::send(std::uint32_t pointer, std::uint32_t length) noexcept {
  InstanceSlot& slot = *current_;
  if (length < sizeof(pg_message) || length > PG_MESSAGE_MAX) return PG_ERROR_LENGTH;
  if (!slot.instance) return PG_ERROR_BUSY;  // within the start function: there is no memory to read from yet
  const std::byte* message = slot.instance->translate(pointer, length);
  if (message == nullptr) return PG_ERROR_POINTER;
  if (PG_LOAD(message, body_length) != length - sizeof(pg_message)) return PG_ERROR_LENGTH;
  if (!is_well_formed(message)) return PG_ERROR_MESSAGE;
  if (carries_rights(message)) [[unlikely]] return send_carrying(message, length);

  const auto kind = static_cast<abi::Kind>(PG_LOAD(message, kind));
  const auto reason = static_cast<abi::Reason>(PG_LOAD(message, reason));
  const std::uint32_t to = PG_LOAD(message, to);
  const std::span body(message + sizeof(pg_message), unknown(length - sizeof(pg_message)));
  if (ReplyHandle::is_one(to)) [[likely]] return answer(to, kind, reason, body);
  return send_otherwise(message, to, kind, reason, body);
}

/// What is not an answer.
[[gnu::noinline]] std::int32_t WorkerCore::send_otherwise(const std::byte* message, std::uint32_t to, abi::Kind kind,
                                                          abi::Reason reason, std::span<const std::byte> body,
                                                          const CarriedOut* carried) noexcept {
  if (to == PG_HANDLE_LOG) {
    if (kind != abi::Kind::notice) return PG_ERROR_MESSAGE;
    return replies_.log(home_core_, current_->process, body) ? 0 : PG_ERROR_BUSY;
  }
  // Control is there for everybody; the bits are of grants and of what came with messages.
  if (to != PG_HANDLE_CONTROL && (to >= abi::kHandlesMax || (current_->handles >> to & 1) == 0)) {
    note_misused_handle(*current_, to);
    return PG_ERROR_HANDLE;
  }
  if (kind != abi::Kind::request || reason != abi::Reason::none || PG_LOAD(message, reply) > PG_HANDLE_SELF)
    return PG_ERROR_MESSAGE;
  return request(message, to, body, carried);
}

// As guests call them. Last, so that all of the above is part of them.
std::int32_t WorkerCore::call_receive(void* core, std::uint32_t pointer, std::uint32_t capacity) noexcept {
  auto& self = *static_cast<WorkerCore*>(core);
  self.stages_.look();
  const std::int32_t length = self.receive(pointer, capacity);
  if (length > 0) self.stages_.part(abi::WorkerStage::receive);
  return length;
}
std::int32_t WorkerCore::call_send(void* core, std::uint32_t pointer, std::uint32_t length) noexcept {
  auto& self = *static_cast<WorkerCore*>(core);
  self.stages_.part(abi::WorkerStage::guest);
  const std::int32_t taken = self.send(pointer, length);
  self.stages_.part(abi::WorkerStage::send);
  return taken;
}

Result<wasm::Linker> make_guest_linker(const wasm::Engine& engine, WorkerCore& core) {
  auto linker = wasm::Linker::create(engine);
  if (!linker) return linker;
  if (auto done = linker->define<&WorkerCore::call_receive>("promisegrid", "receive", &core); !done)
    return std::unexpected(done.error());
  if (auto done = linker->define<&WorkerCore::call_send>("promisegrid", "send", &core); !done)
    return std::unexpected(done.error());
  return linker;
}

}  // namespace pgrid::worker
