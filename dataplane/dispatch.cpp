#include "dataplane/dispatch.hpp"

#include <algorithm>
#include <cstring>

#include "abi/shared/records.hpp"
#include "abi/shared/stream.hpp"

namespace pgrid::dataplane {
namespace {

[[gnu::cold]] Refusal busy(abi::Counter counter, abi::RightAccount& account) noexcept {
  return {counter, abi::Reason::busy, true, &account};
}

/// One record, as words: its lines are the worker's to read next and nobody's here. `header.length` is body and all. A message that
/// comes alone is stored: it is not there before its stream has ended in memory, and nothing else is done meanwhile.
template <bool kStreamed>
[[gnu::always_inline]] inline void write_record(std::byte* record, const abi::WorkerRequest& header,
                                                std::span<const std::byte> body) noexcept {
  using R = abi::WorkerRequest;
  static_assert(offsetof(R, kind) == 4 && offsetof(R, hops) == 5 && offsetof(R, process) == 8 &&
                offsetof(R, reply_slot) == 12 && offsetof(R, reply_generation) == 16 && offsetof(R, deadline_us) == 20 &&
                offsetof(R, label) == 32 && offsetof(R, dispatched_tsc) == 56);
  const auto two = [](std::uint32_t low, std::uint32_t high) { return low | std::uint64_t{high} << 32; };
  std::uint64_t id;
  std::memcpy(&id, header.id, sizeof id);
  const std::uint32_t second = header.kind | std::uint32_t{header.hops} << 8 | std::uint32_t{header.reason} << 16;
  const auto put = [record](std::size_t at, std::uint64_t low, std::uint64_t high) {
    if constexpr (kStreamed) return abi::stream_words(record + at, low, high);
    std::memcpy(record + at, &low, sizeof low);
    std::memcpy(record + at + sizeof low, &high, sizeof high);
  };
  put(0, two(header.length, second), two(header.process, header.reply_slot));
  put(16, two(header.reply_generation, header.deadline_us), id);
  put(32, header.label, two(header.rights[0], header.rights[1]));
  put(48, two(header.rights[2], header.rights[3]), header.dispatched_tsc);
  if constexpr (kStreamed)
    abi::stream_lines(record + abi::kRecordHeader, body.data(), body.size());
  else if (!body.empty())
    std::memcpy(record + abi::kRecordHeader, body.data(), body.size());
}

/// Made twice, so that the path of messages that carry nothing knows it.
[[gnu::always_inline]] inline std::optional<Refusal> dispatch_with(const GivenHandles& given,
                                                                   const AuthorizedMessage& request,
                                                                   const Sender& sender, WorkerLink& link,
                                                                   InFlightTable& in_flight, const TickRate& rate,
                                                                   std::uint64_t now_tsc) noexcept {
  const MessageView& message = request.message();
  const abi::RightCopy& right = request.right();
  abi::RightAccount& account = request.account();
  const std::uint32_t waiting = account.in_flight.load(std::memory_order_relaxed);

  if (!link.serving()) [[unlikely]]
    return busy(abi::Counter::busy_worker, account);
  if (waiting >= right.in_flight_max()) [[unlikely]]
    return busy(abi::Counter::busy_right, account);
  if (!link.has_room()) [[unlikely]]
    return busy(abi::Counter::busy_ring, account);
  const auto length = static_cast<std::uint32_t>(abi::kRecordHeader + message.body.size());
  std::byte* record = link.requests.reserve_lines(length, link.answer_part());
  if (record == nullptr) [[unlikely]]
    return busy(abi::Counter::busy_ring, account);  // or the ring is corrupt, which the caller sees
  InFlight* entry = in_flight.take();
  if (entry == nullptr) [[unlikely]]
    return busy(abi::Counter::busy_in_flight, account);  // the record was not committed

  // DESIGN section 4: what the sender asks, clamped to the right's maximum, which is also what 0 means.
  const std::uint32_t deadline_us =
      message.deadline_us != 0 ? std::min(message.deadline_us, right.deadline_max_us()) : right.deadline_max_us();
  entry->sender = sender.kind;
  entry->worker = link.worker();
  entry->process = right.target();
  entry->right_slot = request.slot();
  entry->right_generation = right.generation();
  entry->control_incarnation = sender.control_incarnation;
  entry->deadline_tsc = now_tsc + rate.ticks_of_us(deadline_us);
  entry->dispatched_tsc = now_tsc;
  entry->id = message.id;
  entry->has_reply_to = message.reply_to != nullptr;
  if (message.reply_to != nullptr) entry->reply_to = *message.reply_to;
  std::uint8_t hops = 0;
  if (sender.kind == SenderKind::wire) [[likely]] {
    set_return_path(entry->path, *sender.frame, *sender.port, sender.port_id);
  } else if (sender.kind == SenderKind::guest) {
    entry->guest = *sender.guest;
    hops = sender.guest->hops;
  }

  abi::WorkerRequest header{.length = length,
                            .kind = static_cast<std::uint8_t>(abi::Kind::request),
                            .hops = hops,
                            .process = right.target(),
                            .reply_slot = in_flight.slot_of(*entry),
                            .reply_generation = entry->generation,
                            .deadline_us = deadline_us,
                            .label = right.label(),
                            .rights = {given[0], given[1], given[2], given[3]},
                            .dispatched_tsc = now_tsc};
  std::memcpy(header.id, message.id.data(), sizeof header.id);
  if (sender.alone) [[unlikely]]
    write_record<false>(record, header, message.body);
  else
    write_record<true>(record, header, message.body);
  link.requests.commit();

  link.unpublished = true;
  ++link.in_flight;
  account.in_flight.store(waiting + 1, std::memory_order_relaxed);
  return std::nullopt;
}

}  // namespace

std::optional<Refusal> dispatch(const AuthorizedMessage& request, const Sender& sender, WorkerLink& link,
                                InFlightTable& in_flight, const TickRate& rate,
                                std::uint64_t now_tsc) noexcept {
  return dispatch_with({}, request, sender, link, in_flight, rate, now_tsc);
}

std::optional<Refusal> dispatch_carrying(std::span<const abi::RightRef> rights, const HandleTable& handles,
                                         const AuthorizedMessage& request, const Sender& sender, WorkerLink& link,
                                         InFlightTable& in_flight, const TickRate& rate,
                                         std::uint64_t now_tsc) noexcept {
  const std::uint32_t process = request.right().target();
  const HandleTable::Owner owner = process < abi::kProcessesMax ? handles.owner_of(process) : HandleTable::Owner{};
  if (owner.generation == 0 || owner.worker != link.worker() || !link.serving())
    return busy(abi::Counter::busy_worker, request.account());
  GivenHandles given;
  if (!give_rights(process, owner, rights, handles, given)) return busy(abi::Counter::busy_handles, request.account());
  const std::optional<Refusal> refusal = dispatch_with(given, request, sender, link, in_flight, rate, now_tsc);
  if (refusal) take_back(process, owner.generation, rights, given, handles);
  return refusal;
}

}  // namespace pgrid::dataplane
