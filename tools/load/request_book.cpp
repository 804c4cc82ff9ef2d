#include "tools/load/request_book.hpp"

#include <algorithm>

#include "drivers/base/check.hpp"

namespace pgrid::tools {

void RequestBook::sent(std::uint64_t now_ns, std::uint64_t intended_ns) {
  PG_CHECK(room() > 0);
  entry(next_++) = {now_ns, intended_ns, State::waiting};
  ++waiting_;
  ++tallies_.sent;
}

RequestBook::Settled RequestBook::settle(std::uint64_t sequence, std::uint64_t now_ns, abi::Kind kind,
                                         abi::Reason reason) {
  if (sequence >= next_ || next_ - sequence > entries_.size()) {
    ++tallies_.unexpected;
    return Settled::unexpected;
  }
  Entry& request = entry(sequence);
  if (request.state == State::lost) {
    request.state = State::settled;  // once late; again: duplicated
    ++tallies_.late;
    return Settled::late;
  }
  if (request.state != State::waiting) {
    ++tallies_.duplicated;
    return Settled::duplicated;
  }
  request.state = State::settled;
  --waiting_;
  if (kind == abi::Kind::answer) {
    ++tallies_.answered;
    tallies_.round_trip.add(now_ns > request.intended_ns ? now_ns - request.intended_ns : 0);
  } else {
    ++tallies_.refused[std::min<std::size_t>(static_cast<std::size_t>(reason), abi::kReasonCount)];
  }
  return Settled::counted;
}

void RequestBook::expire(std::uint64_t now_ns) {
  // Requests are sent in order and all have the same time-out, so the oldest expires first.
  for (; oldest_ < next_; ++oldest_) {
    Entry& request = entry(oldest_);
    if (request.state != State::waiting) continue;
    if (now_ns < request.sent_ns + timeout_ns_) return;
    request.state = State::lost;
    --waiting_;
    ++tallies_.lost;
  }
}

std::uint64_t RequestBook::next_expiry_ns() const {
  for (std::uint64_t i = oldest_; i < next_; ++i)
    if (entry(i).state == State::waiting) return entry(i).sent_ns + timeout_ns_;
  return ~0ull;
}

}  // namespace pgrid::tools
