#include "dataplane/dispatch.hpp"

#include <algorithm>
#include <cstring>

#include "abi/shared/prefetch.hpp"
#include "abi/shared/records.hpp"

namespace pgrid::dataplane {
namespace {

constexpr std::size_t kFetchAhead = 8 * 128;  // bytes: eight requests of 64 bytes

[[gnu::cold]] Refusal busy(abi::Counter counter, abi::RightAccount& account) noexcept {
  return {counter, abi::Reason::busy, true, &account};
}

}  // namespace

std::optional<Refusal> dispatch(const AuthorizedMessage& request, const Sender& sender, WorkerLink& link,
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
  std::byte* record = link.requests.reserve(length, link.answer_part());
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

  // Field by field, straight into the ring: a header built on the stack and copied would be read back wider than it was
  // written, which waits for the stores (half of what dispatch cost, measured with perf). `length` is the ring's.
  auto& header = *reinterpret_cast<abi::WorkerRequest*>(record);
  // The worker had these lines a moment ago: ask for those that come after it before they are written. Past the ring's end
  // it does no harm.
  abi::fetch_to_write(record + kFetchAhead);
  abi::fetch_to_write(record + kFetchAhead + 64);
  header.kind = static_cast<std::uint8_t>(abi::Kind::request);
  header.hops = hops;
  header.reason = 0;
  header.process = right.target();
  header.reply_slot = in_flight.slot_of(*entry);
  header.reply_generation = entry->generation;
  header.deadline_us = deadline_us;
  std::memcpy(header.id, message.id.data(), sizeof header.id);
  header.label = right.label();
  std::memset(header.rights, 0, sizeof header.rights);
  header.dispatched_tsc = now_tsc;
  if (!message.body.empty())
    std::memcpy(record + abi::kRecordHeader, message.body.data(), message.body.size());
  link.requests.commit();

  link.unpublished = true;
  ++link.in_flight;
  account.in_flight.store(waiting + 1, std::memory_order_relaxed);
  return std::nullopt;
}

}  // namespace pgrid::dataplane
