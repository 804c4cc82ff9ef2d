#include "dataplane/collect.hpp"

#include <cstring>
#include <optional>

namespace pgrid::dataplane {
namespace {

using abi::Counter;
using abi::Kind;
using abi::Reason;
using What = Collected::What;

/// What a reply's kind and reason stand for.
struct Said {
  Counter outcome;
  Reason reason;
};

/// Nothing: no worker may say that. A function may give any reason of message-1 with its "no"; those that only the
/// node can mean (a right, a quota) reach the sender as `declined`, so a function cannot pretend to be the node.
std::optional<Said> meaning_of(std::uint8_t kind, std::uint16_t reason) noexcept {
  if (kind == static_cast<std::uint8_t>(Kind::answer))
    return reason == 0 ? std::optional(Said{Counter::answered, Reason::none}) : std::nullopt;
  if (kind != static_cast<std::uint8_t>(Kind::non_commitment) || reason == 0 || reason >= abi::kReasonCount)
    return std::nullopt;
  switch (static_cast<Reason>(reason)) {
    case Reason::broken: return Said{Counter::broken, Reason::broken};
    case Reason::process_failed: return Said{Counter::process_failed, Reason::process_failed};
    case Reason::busy: return Said{Counter::busy_mailbox, Reason::busy};
    default: return Said{Counter::declined, Reason::declined};
  }
}

What check_answer(const abi::WorkerReply& reply, const WorkerLink& link, InFlightTable& in_flight,
                  Collected& collected) noexcept {
  const std::optional<Said> said = meaning_of(reply.kind, reply.reason);
  if (!said) [[unlikely]]
    return What::malformed;
  const auto [verdict, entry] = in_flight.find(reply.to_slot, reply.to_generation);
  if (verdict == InFlightTable::Verdict::late) [[unlikely]]
    return What::late;
  // A right that this worker, or this process, was never given cannot have been guessed by accident.
  if (verdict == InFlightTable::Verdict::nonsense || entry->worker != link.worker() ||
      entry->process != reply.process) [[unlikely]]
    return What::malformed;
  collected.entry = entry;
  collected.counter = said->outcome;
  collected.answer.kind = static_cast<Kind>(reply.kind);
  collected.answer.reason = said->reason;
  return What::outcome;
}

What check(const abi::WorkerReply& reply, const WorkerLink& link, InFlightTable& in_flight,
           Collected& collected) noexcept {
  switch (static_cast<abi::ReplyType>(reply.type)) {
    case abi::ReplyType::answer:
      return check_answer(reply, link, in_flight, collected);
    case abi::ReplyType::log:
      collected.event_type = abi::ControlEventType::log;
      collected.answer.reason = Reason::none;
      return What::event;
    case abi::ReplyType::event:
      if (reply.reason >= abi::kReasonCount || reply.violation >= abi::kViolationCount) return What::malformed;
      collected.event_type = abi::ControlEventType::instance_event;
      collected.answer.reason = static_cast<Reason>(reply.reason);
      return What::event;
    case abi::ReplyType::send:
      return What::send;
    case abi::ReplyType::drop:
      return What::drop;
  }
  return What::malformed;
}

}  // namespace

void collect(WorkerLink& link, InFlightTable& in_flight, abi::WorkerReply& reply, Collected& collected) noexcept {
  collected.what = What::nothing;
  if (!link.readable()) return;
  const abi::RingRecord record = link.replies.front();
  if (!record) {
    if (link.replies.corrupt()) collected.what = What::corrupt;
    return;
  }
  std::memcpy(&reply, record.data, sizeof reply);
  link.replies.pop();
  collected.what = check(reply, link, in_flight, collected);
  collected.answer.body = {record.data + abi::kRecordHeader, record.length - abi::kRecordHeader};
}

}  // namespace pgrid::dataplane
