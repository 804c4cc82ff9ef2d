#include "dataplane/collect.hpp"

#include <cstring>

namespace pgrid::dataplane {

using abi::Counter;
using abi::Kind;
using abi::Reason;
using What = Collected::What;

bool read_no(const abi::WorkerReply& reply, Collected& collected) noexcept {
  if (reply.kind != static_cast<std::uint8_t>(Kind::non_commitment) || reply.reason == 0 || reply.reason >= abi::kReasonCount)
    return false;
  const auto say = [&](Counter outcome, Reason reason) {
    collected.counter = outcome;
    collected.answer.reason = reason;
    return true;
  };
  switch (static_cast<Reason>(reply.reason)) {
    case Reason::broken: return say(Counter::broken, Reason::broken);
    case Reason::process_failed: return say(Counter::process_failed, Reason::process_failed);
    case Reason::busy: return say(Counter::busy_mailbox, Reason::busy);
    default: return say(Counter::declined, Reason::declined);
  }
}

What check_other(const abi::WorkerReply& reply, Collected& collected) noexcept {
  switch (static_cast<abi::ReplyType>(reply.type)) {
    case abi::ReplyType::answer:
      break;  // not here
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

}  // namespace pgrid::dataplane
