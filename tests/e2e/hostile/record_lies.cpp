// Lies in the fields of records: answers, requests of functions, log lines and events.
#include <cstring>
#include <initializer_list>

#include "tests/e2e/hostile/lies.hpp"

namespace pgrid::tests {
namespace {

constexpr char kMalformed[] = "reply_malformed";
constexpr char kLives[] = "lives";
using Reply = abi::WorkerReply;

std::uint8_t octet(abi::Kind kind) { return static_cast<std::uint8_t>(kind); }

/// `base` makes the honest record; each case changes it in one way.
class Cases {
 public:
  Cases(std::string what, std::function<Reply(Seat&)> base) : what_(std::move(what)), base_(std::move(base)) {}

  void add(const std::string& how, const char* end, const std::function<void(Reply&, Seat&)>& change) {
    lies_.push_back({what_ + " with " + how, end, [base = base_, change](Seat& seat) {
                       Reply reply = base(seat);
                       change(reply, seat);
                       seat.put(reply);
                       seat.replies.publish();
                     }});
  }
  template <typename T>
  void field(const std::string& name, T Reply::* member, const char* end, std::initializer_list<std::uint64_t> values) {
    for (const std::uint64_t value : values)
      add(name + ' ' + std::to_string(value), end, [=](Reply& reply, Seat&) { reply.*member = static_cast<T>(value); });
  }
  Lies take() { return std::move(lies_); }

 private:
  std::string what_;
  std::function<Reply(Seat&)> base_;
  Lies lies_;
};

constexpr std::uint64_t kOnes = 0xffff'ffff, kHigh = 1u << 31;

}  // namespace

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
    std::memset(reply.rights, 0xff, sizeof reply.rights);
    std::memset(reply.rights_mode, 0xff, sizeof reply.rights_mode);
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
  cases.field("handle", &Reply::to_slot, kMalformed, {0, 1, 2, 3, abi::kFirstGrant + abi::kGrantsMax, 63, 64, 65, kHigh, kHigh | 4, kOnes});
  cases.field("handle", &Reply::to_slot, kLives, {5, abi::kFirstGrant + abi::kGrantsMax - 1});
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
    std::memset(reply.rights, 0xff, sizeof reply.rights);
    std::memset(reply.rights_mode, 0xff, sizeof reply.rights_mode);
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
