// Rights in messages: handles that a guest passes on, those that come with what it receives, and how they are given back.
#include <algorithm>
#include <cstring>

#include "abi/shared/stats.hpp"
#include "dataplane/worker/guest_message.hpp"
#include "dataplane/worker/worker_core.hpp"

namespace pgrid::worker {
namespace {

constexpr std::uint64_t kCarriedMask = ~std::uint64_t{0} << abi::kFirstCarried;
constexpr std::uint8_t kCopy = PG_COPY;
constexpr std::uint8_t kMove = PG_MOVE;

constexpr std::uint64_t bit_of(std::uint32_t handle) { return std::uint64_t{1} << handle; }

/// Handles that a record brings, as bits.
std::uint64_t brought(const abi::WorkerRequest& request) noexcept {
  std::uint64_t handles = 0;
  for (const std::uint32_t& word : request.rights) handles |= bit_of(abi::handle_of(read_once(word)));
  return handles & kCarriedMask;
}

}  // namespace

// ---- in

/// The guest gets the handles that come with a message, under the numbers that the poll core chose. What does not go there is
/// nothing that a poll core gives.
[[gnu::noinline]] void WorkerCore::hand_over(InstanceSlot& slot, const abi::WorkerRequest& request, std::byte* message) noexcept {
  for (std::size_t i = 0; i < abi::kCarriedRightsMax; ++i) {
    std::uint32_t handle = abi::handle_of(read_once(request.rights[i]));
    if ((bit_of(handle) & kCarriedMask) == 0) handle = PG_HANDLE_NONE;
    if (handle != PG_HANDLE_NONE) slot.handles |= bit_of(handle);
    store<std::uint32_t>(message, offsetof(pg_message, rights) + i * sizeof handle, handle);
  }
}

/// A message that nobody will read: the handles that came with it lead nowhere from now on.
[[gnu::noinline]] void WorkerCore::give_back(const abi::WorkerRequest& request) noexcept {
  const std::uint32_t process = read_once(request.process);
  const std::uint32_t generation = abi::generation_of(read_once(request.rights[0]));
  const std::uint64_t handles = brought(request);
  InstanceSlot* slot = process < slots_.size() ? slots_[process].get() : nullptr;
  if (slot != nullptr && abi::is_same_generation(slot->generation, generation)) return give_back(*slot, handles);
  // Of a process that is not here (yet, or any more): there is nowhere to keep this until there is room to say it. Then those
  // handles are free again when the process goes.
  if (replies_.others_have_read(home_core_)) (void)replies_.drop(home_core_, process, generation, handles);
}

void WorkerCore::give_back(InstanceSlot& slot, std::uint64_t handles) noexcept {
  slot.given_back |= handles & kCarriedMask;
  if (slot.given_back == 0 || slot.gives_back || tell_given_back(slot)) return;
  slot.gives_back = true;
  giving_back_.push(slot);
}

/// What the last instance held. Grants stay: they are the process's.
void WorkerCore::give_back_all(InstanceSlot& slot) noexcept {
  const std::uint64_t carried = slot.handles & kCarriedMask;
  slot.handles &= ~kCarriedMask;
  if (carried != 0) give_back(slot, carried);
}

/// False: not now. Either there is no room, or a message that leaves by another poll core still names handles of this worker's
/// functions: given out anew before that is read, they would stand for something else.
bool WorkerCore::tell_given_back(InstanceSlot& slot) noexcept {
  if (!replies_.others_have_read(home_core_) ||
      !replies_.drop(home_core_, slot.process, slot.generation, slot.given_back))
    return false;
  slot.given_back = 0;
  return true;
}

/// In turns in which somebody waits for that.
void WorkerCore::tell_all_given_back() noexcept {
  giving_back_.take_if([this](InstanceSlot& slot) { return tell_given_back(slot); },
                       [](InstanceSlot& slot) { slot.gives_back = false; });
}

void WorkerCore::forget_given_back(InstanceSlot& slot) noexcept {
  if (!std::exchange(slot.gives_back, false)) return;
  (void)tell_given_back(slot);
  giving_back_.remove(slot);
}

// ---- out

/// What a message of the current guest takes along. 0, or enum pg_error.
std::int32_t WorkerCore::read_carried(const std::byte* message, CarriedOut& carried) noexcept {
  InstanceSlot& slot = *current_;
  std::uint64_t seen = 0;
  bool ended = false;
  for (std::size_t i = 0; i < abi::kCarriedRightsMax; ++i) {
    const auto mode = load<std::uint8_t>(message, offsetof(pg_message, rights_mode) + i);
    const auto handle =
        mode == 0 ? PG_HANDLE_NONE : load<std::uint32_t>(message, offsetof(pg_message, rights) + i * sizeof(std::uint32_t));
    carried.handles[i] = handle;
    carried.modes[i] = mode;
    ended |= mode == 0;
    if (mode == 0) continue;
    if (ended || (mode != kCopy && mode != kMove)) return PG_ERROR_MESSAGE;
    if (!abi::is_held_handle(handle) || (slot.handles & bit_of(handle)) == 0) {
      note_misused_handle(slot, handle);
      return PG_ERROR_HANDLE;
    }
    // Not one that would be gone already, nor one that control granted to the process.
    if ((carried.moved & bit_of(handle)) != 0 || (mode == kMove && (seen & bit_of(handle)) != 0)) return PG_ERROR_HANDLE;
    if (mode == kMove && abi::is_grant(handle)) return PG_ERROR_HANDLE;
    seen |= bit_of(handle);
    if (mode == kMove) carried.moved |= bit_of(handle);
  }
  return 0;
}

/// A message that takes rights along: a request, or an answer that keeps a promise.
[[gnu::noinline]] std::int32_t WorkerCore::send_carrying(const std::byte* message, std::uint32_t length) noexcept {
  InstanceSlot& slot = *current_;
  CarriedOut carried;
  if (const std::int32_t error = read_carried(message, carried); error != 0) return error;
  const auto kind = static_cast<abi::Kind>(PG_LOAD(message, kind));
  const std::uint32_t to = PG_LOAD(message, to);
  const std::span body(message + sizeof(pg_message), length - sizeof(pg_message));
  const bool answers = ReplyHandle::is_one(to);
  if (PG_LOAD(message, reason) != PG_REASON_NONE || PG_LOAD(message, reply) > PG_HANDLE_SELF ||
      kind != (answers ? abi::Kind::answer : abi::Kind::request))
    return PG_ERROR_MESSAGE;
  // What is moved may be given out anew as soon as the poll core has this message: see tell_given_back.
  const std::uint32_t core = answers ? ReplyHandle(to).core() : home_core_;
  if (carried.moved != 0 && !replies_.others_have_read(core)) return PG_ERROR_BUSY;
  const std::int32_t result = answers ? answer_carrying(to, carried, body) : send_otherwise(message, to, kind, abi::Reason::none, body, &carried);
  if (result == 0) slot.handles &= ~carried.moved;
  return result;
}

std::int32_t WorkerCore::answer_carrying(std::uint32_t handle, const CarriedOut& carried, std::span<const std::byte> body) noexcept {
  InstanceSlot& slot = *current_;
  Outstanding* held = outstanding_.find(ReplyHandle(handle), slot.process);
  if (held == nullptr) return PG_ERROR_HANDLE;
  if (!replies_.answer_carrying(slot.process, slot.generation, held->slot, held->generation, carried, body)) return PG_ERROR_BUSY;
  answered(slot, *held);
  return 0;
}

}  // namespace pgrid::worker
