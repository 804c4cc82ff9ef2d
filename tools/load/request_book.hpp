// What became of every request: the accounts of pgrid-load. Pure: no clock and no socket.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "abi/shared/reason.hpp"
#include "tools/load/latency_histogram.hpp"

namespace pgrid::tools {

struct Tallies {
  std::uint64_t sent = 0;
  std::uint64_t answered = 0;
  std::array<std::uint64_t, abi::kReasonCount + 1> refused{};  // non-commitments by reason; the last: unknown reasons
  std::uint64_t lost = 0;        // no answer within the time-out
  std::uint64_t late = 0;        // came after that; stays lost
  std::uint64_t duplicated = 0;  // a second answer to the same request
  std::uint64_t unexpected = 0;  // an answer to nothing we sent, or to something too long ago to know
  LatencyHistogram round_trip;   // of answers, from the intended send time

  [[nodiscard]] std::uint64_t non_commitments() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t n : refused) sum += n;
    return sum;
  }
};

/// Keeps the last `window` requests by sequence number. Always sent = answered + non-commitments + lost + waiting.
/// Times are nanoseconds of one clock.
class RequestBook {
 public:
  /// `window` is a power of two.
  RequestBook(std::uint64_t window, std::uint64_t timeout_ns) : entries_(window), timeout_ns_(timeout_ns) {}

  [[nodiscard]] std::uint64_t next_sequence() const { return next_; }
  [[nodiscard]] std::uint64_t waiting() const { return waiting_; }
  [[nodiscard]] const Tallies& tallies() const { return tallies_; }

  /// How many more requests may be sent before an old one that still waits would be forgotten.
  [[nodiscard]] std::uint64_t room() const { return entries_.size() - (next_ - oldest_); }

  /// A request went out, as number next_sequence(). REQUIRES: room() > 0. `intended_ns`: when it should have.
  void sent(std::uint64_t now_ns, std::uint64_t intended_ns);

  enum class Settled { counted, late, duplicated, unexpected };
  /// An answer or non-commitment came for `sequence`.
  Settled settle(std::uint64_t sequence, std::uint64_t now_ns, abi::Kind kind, abi::Reason reason);

  /// Counts as lost what has waited too long.
  void expire(std::uint64_t now_ns);

  /// When `expire` will next have something to do; the largest value when nothing waits.
  [[nodiscard]] std::uint64_t next_expiry_ns() const;

 private:
  enum class State : std::uint8_t { none, waiting, settled, lost };
  struct Entry {
    std::uint64_t sent_ns = 0;
    std::uint64_t intended_ns = 0;
    State state = State::none;
  };
  Entry& entry(std::uint64_t sequence) { return entries_[sequence & (entries_.size() - 1)]; }
  [[nodiscard]] const Entry& entry(std::uint64_t sequence) const { return entries_[sequence & (entries_.size() - 1)]; }

  std::vector<Entry> entries_;
  std::uint64_t timeout_ns_;
  std::uint64_t next_ = 0;
  std::uint64_t oldest_ = 0;  // no request before this one waits
  std::uint64_t waiting_ = 0;
  Tallies tallies_;
};

}  // namespace pgrid::tools
