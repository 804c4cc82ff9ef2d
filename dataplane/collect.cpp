#include "dataplane/collect.hpp"

#include <cstring>
#include <optional>

namespace pgrid::dataplane {
namespace {

using abi::Counter;
using abi::Kind;
using abi::Reason;
using What = Collected::What;

/// The outcome that a reply's kind and reason stand for. Nothing: a worker has no business saying that.
std::optional<Counter> outcome_of(std::uint8_t kind, std::uint16_t reason) noexcept {
  if (kind == static_cast<std::uint8_t>(Kind::answer))
    return reason == 0 ? std::optional(Counter::answered) : std::nullopt;
  if (kind != static_cast<std::uint8_t>(Kind::non_commitment)) return std::nullopt;
  switch (static_cast<Reason>(reason)) {
    case Reason::declined:
      return Counter::declined;
    case Reason::broken:
      return Counter::broken;
    case Reason::process_failed:
      return Counter::process_failed;
    case Reason::busy:
      return Counter::busy_mailbox;
    default:
      return std::nullopt;
  }
}

Collected check_answer(const abi::WorkerReply& reply, const WorkerLink& link,
                       InFlightTable& in_flight) noexcept {
  const std::optional<Counter> outcome = outcome_of(reply.kind, reply.reason);
  if (!outcome) [[unlikely]]
    return {.what = What::malformed};
  const auto [verdict, entry] = in_flight.find(reply.to_slot, reply.to_generation);
  if (verdict == InFlightTable::Verdict::late) [[unlikely]]
    return {.what = What::late};
  // A right that this worker, or this process, was never given cannot have been guessed by accident.
  if (verdict == InFlightTable::Verdict::nonsense || entry->worker != link.worker() ||
      entry->process != reply.process) [[unlikely]]
    return {.what = What::malformed};
  return {.what = What::outcome,
          .entry = entry,
          .counter = *outcome,
          .kind = static_cast<Kind>(reply.kind),
          .reason = static_cast<Reason>(reply.reason)};
}

Collected check(const abi::WorkerReply& reply, const WorkerLink& link, InFlightTable& in_flight) noexcept {
  switch (static_cast<abi::ReplyType>(reply.type)) {
    case abi::ReplyType::answer:
      return check_answer(reply, link, in_flight);
    case abi::ReplyType::log:
      return {.what = What::event, .event_type = abi::ControlEventType::log, .process = reply.process};
    case abi::ReplyType::event:
      if (reply.reason >= abi::kReasonCount) return {.what = What::malformed};
      return {.what = What::event,
              .kind = Kind::notice,
              .reason = static_cast<Reason>(reply.reason),
              .event_type = abi::ControlEventType::instance_event,
              .process = reply.process};
    case abi::ReplyType::send:
      return {.what = What::send, .process = reply.process};
  }
  return {.what = What::malformed};
}

}  // namespace

Collected collect(WorkerLink& link, InFlightTable& in_flight) noexcept {
  if (!link.readable()) return {};
  const abi::RingRecord record = link.replies.front();
  if (!record) return {.what = link.replies.corrupt() ? What::malformed : What::nothing};

  abi::WorkerReply reply;
  std::memcpy(&reply, record.data, sizeof reply);
  link.replies.pop();
  Collected collected = check(reply, link, in_flight);
  collected.body = {record.data + abi::kRecordHeader, record.length - abi::kRecordHeader};
  return collected;
}

}  // namespace pgrid::dataplane
