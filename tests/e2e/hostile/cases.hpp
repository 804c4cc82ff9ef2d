// Lies of one kind: an honest record, and each way in which it is changed.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

#include "tests/e2e/hostile/lies.hpp"

namespace pgrid::tests {

inline constexpr char kMalformed[] = "reply_malformed";
inline constexpr char kLives[] = "lives";
using Reply = abi::WorkerReply;

inline std::uint8_t octet(abi::Kind kind) { return static_cast<std::uint8_t>(kind); }

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

inline constexpr std::uint64_t kOnes = 0xffff'ffff, kHigh = 1u << 31;

}  // namespace pgrid::tests
