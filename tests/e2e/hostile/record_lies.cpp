// Lies in the fields of records: answers, requests of functions, log lines and events. Those about rights are in carry_lies.cpp.
#include <cstring>
#include <initializer_list>

#include "tests/e2e/hostile/cases.hpp"

namespace pgrid::tests {

Lies answer_lies(Seat&) {
  Cases cases("an answer", [](Seat& seat) { return seat.answer_to(seat.take()); });
  cases.field("type", &Reply::type, kMalformed, {0, 2, 5, 63, 64, 65, 127, 128, 255});
  cases.field("kind", &Reply::kind, kMalformed, {0, 2, 3, 4, 63, 128, 255});  // 2 is a "no", which needs a reason
  cases.field("reason", &Reply::reason, kMalformed, {1, 10, 11, 63, 64, 65, 0x8000, 0xffff});
  for (const int reason : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
    cases.add("the no " + std::to_string(reason), kLives, [reason](Reply& reply, Seat&) {
      reply.kind = octet(abi::Kind::non_commitment);
      reply.reason = static_cast<std::uint16_t>(reason);
    });
  for (const int reason : {11, 64, 0x8000, 0xffff})
    cases.add("the no " + std::to_string(reason), kMalformed, [reason](Reply& reply, Seat&) {
      reply.kind = octet(abi::Kind::non_commitment);
      reply.reason = static_cast<std::uint16_t>(reason);
    });
  cases.field("process", &Reply::process, kMalformed, {63, 64, 65, 65535, 65536, kHigh - 1, kHigh, kOnes});
  cases.add("another worker's process", kMalformed, [](Reply& reply, Seat& seat) { reply.process = seat.process == 0 ? 1 : 0; });
  cases.field("slot", &Reply::to_slot, kMalformed,
              {0, 1, 63, 64, 65, 4095, 4096, kHigh - 1, kOnes, kHigh | 7u << 14, kHigh | 1u << 14, kHigh | 1u << 17, kHigh | 1u << 30,
               kHigh | 16383});
  cases.add("the next generation", kMalformed, [](Reply& reply, Seat&) { ++reply.to_generation; });
  cases.add("a generation half of all ahead", kMalformed, [](Reply& reply, Seat&) { reply.to_generation += 1u << 31; });
  cases.add("a generation of before", kLives, [](Reply& reply, Seat&) { --reply.to_generation; });
  cases.add("a generation of long ago", kLives, [](Reply& reply, Seat&) { reply.to_generation -= 0x7fff'ffff; });
  // What only a request of a function means.
  cases.field("deadline", &Reply::deadline_us, kLives, {1, kHigh, kOnes});
  cases.field("instance", &Reply::instance, kLives, {1, kHigh, kOnes});
  cases.field("process generation", &Reply::process_generation, kLives, {1, kHigh, kOnes});
  cases.field("hops", &Reply::hops, kLives, {1, 8, 9, 255});
  cases.add("all other bytes set", kLives, [](Reply& reply, Seat&) {
    std::memset(reply.id, 0xff, sizeof reply.id);
    std::memset(reply.reserved, 0xff, sizeof reply.reserved);
  });
  cases.add("every byte set", kMalformed, [](Reply& reply, Seat&) { std::memset(static_cast<void*>(&reply), 0xff, sizeof reply); });
  return cases.take();
}

Lies send_lies(Seat&) {
  Cases cases("a function's request", [](Seat& seat) {
    Reply reply{};
    reply.type = static_cast<std::uint8_t>(abi::ReplyType::send);
    reply.kind = octet(abi::Kind::request);
    reply.process = seat.process;
    reply.process_generation = seat.process_generation;
    reply.to_slot = abi::kFirstGrant;
    reply.hops = 1;
    return reply;
  });
  cases.add("a handle that it does not hold", kLives, [](Reply&, Seat&) {});
  cases.field("kind", &Reply::kind, kMalformed, {1, 2, 3, 4, 255});
  // Control among them: only an instance asks it, and this record names none.
  cases.field("handle", &Reply::to_slot, kMalformed, {0, 1, abi::kHandleControl, 3, 64, 65, 66, 68, 127, 128, kHigh, kHigh | 4, kOnes});
  cases.field("handle", &Reply::to_slot, kLives, {5, abi::kFirstCarried - 1, abi::kFirstCarried, abi::kHandlesMax - 1});
  cases.field("process", &Reply::process, kMalformed, {65536, kHigh, kOnes});
  cases.add("another worker's process", kMalformed, [](Reply& reply, Seat& seat) {
    reply.process = seat.process == 0 ? 1 : 0;
    reply.process_generation = 1;
  });
  cases.field("hops", &Reply::hops, kMalformed, {0, 10, 63, 128, 255});
  cases.field("hops", &Reply::hops, kLives, {abi::kHopsMax, abi::kHopsMax + 1});
  cases.field("deadline", &Reply::deadline_us, kLives, {1, kHigh, kOnes});
  cases.field("instance", &Reply::instance, kLives, {1, kHigh, kOnes});
  cases.field("process generation", &Reply::process_generation, kLives, {0, kHigh, kOnes});
  cases.field("reason", &Reply::reason, kLives, {1, 11, 0xffff});
  cases.field("generation", &Reply::to_generation, kLives, {1, kHigh, kOnes});
  cases.add("all other bytes set", kLives, [](Reply& reply, Seat&) {
    std::memset(reply.id, 0xff, sizeof reply.id);
    std::memset(reply.reserved, 0xff, sizeof reply.reserved);
  });
  return cases.take();
}

Lies event_lies(Seat&) {
  // The data plane knows which worker speaks; control drops what is said for another's process.
  Cases lines("a log line", [](Seat& seat) { return seat.log_line(seat.process); });
  lines.field("process", &Reply::process, kLives, {0, 1, 63, 64, 65, 65535, 65536, kHigh, kOnes});
  lines.field("kind", &Reply::kind, kLives, {4, 255});
  lines.field("reason", &Reply::reason, kLives, {11, 0xffff});
  Cases events("an event", [](Seat& seat) {
    Reply reply = seat.log_line(seat.process);
    reply.type = static_cast<std::uint8_t>(abi::ReplyType::event);
    reply.reason = static_cast<std::uint16_t>(abi::Reason::broken);
    return reply;
  });
  events.field("process", &Reply::process, kLives, {0, 1, 64, 65536, kHigh, kOnes});
  events.field("reason", &Reply::reason, kMalformed, {11, 63, 64, 65, 0x8000, 0xffff});
  events.field("restarts", &Reply::to_slot, kLives, {1, kHigh, kOnes});
  events.field("back-off", &Reply::to_generation, kLives, {1, kHigh, kOnes});
  Lies lies = lines.take();
  for (Lie& lie : events.take()) lies.push_back(std::move(lie));
  return lies;
}

}  // namespace pgrid::tests
