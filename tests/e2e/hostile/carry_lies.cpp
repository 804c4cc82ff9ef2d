// Lies about rights: what requests and answers carry, and what is given back. The process holds none that came with a message.
#include <algorithm>
#include <cstring>
#include <vector>

#include "tests/e2e/hostile/cases.hpp"

namespace pgrid::tests {
namespace {

constexpr std::uint8_t kCopy = 1, kMove = 2;

Reply send_of_ours(Seat& seat) {
  Reply reply{};
  reply.type = static_cast<std::uint8_t>(abi::ReplyType::send);
  reply.kind = octet(abi::Kind::request);
  reply.process = seat.process;
  reply.process_generation = seat.process_generation;
  reply.to_slot = abi::kHandleControl;
  reply.hops = 1;
  reply.instance = 1;
  return reply;
}
Reply answer_of_ours(Seat& seat) {
  Reply reply = seat.answer_to(seat.take());
  reply.process_generation = seat.process_generation;
  return reply;
}
Reply drop_of_ours(Seat& seat) {
  Reply reply{};
  reply.type = static_cast<std::uint8_t>(abi::ReplyType::drop);
  reply.process = seat.process;
  reply.process_generation = seat.process_generation;
  return reply;
}

/// The rights of a record, in every extreme. What could be held and is not is no lie: it may have been taken away.
void add_rights(Cases& cases) {
  const auto one = [&](std::uint64_t handle, std::uint8_t mode, const char* end) {
    cases.add("handle " + std::to_string(handle) + ", mode " + std::to_string(mode), end, [=](Reply& reply, Seat&) {
      reply.rights[0] = static_cast<std::uint32_t>(handle);
      reply.rights_mode[0] = mode;
    });
  };
  constexpr std::uint64_t kNever[] = {0, 1, 2, 3, 64, 65, 84, 127, 128, 255, 256, 65535, 65536, 1u << 20 | 20, kHigh - 1, kHigh,
                                      kHigh | 20, kOnes};
  for (const std::uint64_t handle : kNever) {
    one(handle, kCopy, kMalformed);
    one(handle, kMove, kMalformed);
  }
  for (const std::uint64_t handle : {abi::kFirstGrant, abi::kFirstCarried - 1}) {
    one(handle, kCopy, kLives);
    one(handle, kMove, kMalformed);  // a grant is control's to take away
  }
  for (const std::uint64_t handle : {abi::kFirstCarried, abi::kFirstCarried + 1, 31u, 32u, abi::kHandlesMax - 1}) {
    one(handle, kCopy, kLives);
    one(handle, kMove, kLives);
  }
  for (const std::uint8_t mode : {std::uint8_t{3}, std::uint8_t{4}, std::uint8_t{127}, std::uint8_t{128}, std::uint8_t{255}})
    one(20, mode, kMalformed);
  const auto many = [&](const std::string& how, const char* end, std::vector<std::pair<std::uint32_t, std::uint8_t>> items) {
    cases.add(how, end, [items](Reply& reply, Seat&) {
      for (std::size_t i = 0; i < items.size(); ++i) {
        reply.rights[i] = items[i].first;
        reply.rights_mode[i] = items[i].second;
      }
    });
  };
  many("four that are not held", kLives, {{20, kCopy}, {21, kMove}, {22, kCopy}, {63, kMove}});
  many("one copied four times", kLives, {{20, kCopy}, {20, kCopy}, {20, kCopy}, {20, kCopy}});
  many("one moved twice", kMalformed, {{20, kMove}, {20, kMove}});
  many("one moved and copied", kMalformed, {{20, kMove}, {20, kCopy}});
  many("one copied and moved", kMalformed, {{20, kCopy}, {20, kMove}});
  many("a gap", kMalformed, {{20, kCopy}, {0, 0}, {21, kCopy}});
  many("a gap in front", kMalformed, {{0, 0}, {21, kCopy}});
  many("a handle without a mode behind one with", kMalformed, {{20, kCopy}, {21, 0}});
  many("a mode without a handle behind one with", kMalformed, {{20, kCopy}, {0, kCopy}});
  many("nonsense as the last of four", kMalformed, {{20, kCopy}, {21, kCopy}, {22, kCopy}, {~0u, kMove}});
  cases.add("every bit of the rights", kMalformed, [](Reply& reply, Seat&) {
    std::memset(reply.rights, 0xff, sizeof reply.rights);
    std::memset(reply.rights_mode, 0xff, sizeof reply.rights_mode);
  });
}

}  // namespace

Lies carried_send_lies(Seat&) {
  Cases cases("a request to control", send_of_ours);
  add_rights(cases);
  cases.add("nothing wrong", kLives, [](Reply&, Seat&) {});
  cases.add("another worker's process", kMalformed, [](Reply& reply, Seat& seat) {
    reply.process = seat.process == 0 ? 1 : 0;
    reply.process_generation = 1;
  });
  cases.field("process generation", &Reply::process_generation, kLives, {0, kHigh, kOnes});
  cases.field("instance", &Reply::instance, kMalformed, {0});
  cases.field("instance", &Reply::instance, kLives, {2, kHigh, kOnes});
  cases.field("deadline", &Reply::deadline_us, kLives, {1, kHigh, kOnes});
  return cases.take();
}

Lies carried_answer_lies(Seat&) {
  Cases cases("an answer", answer_of_ours);
  add_rights(cases);
  cases.field("process generation", &Reply::process_generation, kLives, {0, kHigh, kOnes});
  cases.add("handles and no modes", kLives, [](Reply& reply, Seat&) { std::memset(reply.rights, 0xff, sizeof reply.rights); });
  cases.add("a no that carries", kMalformed, [](Reply& reply, Seat&) {
    reply.kind = octet(abi::Kind::non_commitment);
    reply.reason = static_cast<std::uint16_t>(abi::Reason::declined);
    reply.rights[0] = 20;
    reply.rights_mode[0] = kCopy;
  });
  return cases.take();
}

Lies drop_lies(Seat&) {
  Lies lies;
  const auto add = [&](const std::string& how, const char* end, std::uint64_t bits, std::uint32_t length,
                       std::function<void(Reply&, Seat&)> change = [](Reply&, Seat&) {}) {
    lies.push_back({"handles given back: " + how, end, [=](Seat& seat) {
                      Reply reply = drop_of_ours(seat);
                      change(reply, seat);
                      seat.put_body(reply, &bits, std::min<std::uint32_t>(length, sizeof bits), length);
                      seat.replies.publish();
                    }});
  };
  for (std::uint32_t bit = 0; bit < 64; ++bit)
    add("bit " + std::to_string(bit), bit < abi::kFirstCarried ? kMalformed : kLives, std::uint64_t{1} << bit, 8);
  add("none", kLives, 0, 8);
  add("all that can be", kLives, ~std::uint64_t{0} << abi::kFirstCarried, 8);
  add("all", kMalformed, ~std::uint64_t{0}, 8);
  for (const std::uint32_t length : {0u, 1u, 7u, 9u, 16u, 64u, 1024u})
    add("a body of " + std::to_string(length), kMalformed, std::uint64_t{1} << 20, length);
  add("another worker's process", kMalformed, std::uint64_t{1} << 20, 8, [](Reply& reply, Seat& seat) {
    reply.process = seat.process == 0 ? 1 : 0;
    reply.process_generation = 1;
  });
  for (const std::uint32_t process : {65536u, 1u << 31, ~0u})
    add("process " + std::to_string(process), kMalformed, std::uint64_t{1} << 20, 8, [=](Reply& reply, Seat&) { reply.process = process; });
  for (const std::uint32_t generation : {0u, 77u, 1u << 26, ~0u})
    add("generation " + std::to_string(generation), kLives, std::uint64_t{1} << 20, 8,
        [=](Reply& reply, Seat&) { reply.process_generation = generation; });
  return lies;
}

}  // namespace pgrid::tests
