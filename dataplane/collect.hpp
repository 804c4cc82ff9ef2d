// Takes what a worker hands back, one record at a time. Every field may be anything: the header
// is copied once, checked, then used; the body stays in the ring, where it may change until it
// is copied into the answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "abi/shared/counters.hpp"
#include "abi/shared/records.hpp"
#include "dataplane/carried.hpp"
#include "dataplane/in_flight_table.hpp"
#include "dataplane/worker_link.hpp"

namespace pgrid::dataplane {

/// What an answer says. `body` may lie in a ring: it is read once.
struct Answer {
  abi::Kind kind{};
  abi::Reason reason{};
  std::span<const std::byte> body{};
  const Brought* rights = nullptr;  // that come with it
};

/// Whether a record carries any.
inline bool carries_rights(const abi::WorkerReply& reply) noexcept {
  std::uint32_t modes;
  std::memcpy(&modes, reply.rights_mode, sizeof modes);
  return modes != 0;
}

/// One record from a worker, checked.
struct Collected {
  enum class What : std::uint8_t {
    nothing,    // the ring is empty, or the link is not readable
    outcome,    // `entry` has its answer: kind, reason, body
    late,       // for a message that was answered already
    event,      // a log line or instance event for control
    send,       // a function's own request: for relay
    drop,       // handles that a process gives back
    malformed,  // nonsense: the worker is to be replaced, and nothing more is read from it
    corrupt,    // the same, of the ring itself
  };
  What what = What::nothing;
  InFlight* entry = nullptr;
  abi::Counter counter{};  // of an outcome
  abi::ControlEventType event_type{};
  Answer answer;  // of an outcome; of an event reason and body. The body lies in the ring until its `release`
};

/// The worker's next record, popped. The caller releases the ring once per burst. `reply` is the copy of its header: what
/// a send asks for, and what an event says of process and restarts, which is the worker's word.
/// Both are written in place: copies would wait for the stores that made them.
void collect(WorkerLink& link, InFlightTable& in_flight, abi::WorkerReply& reply, Collected& collected) noexcept;

}  // namespace pgrid::dataplane
