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

/// A function's "no", or the worker's. False: no worker may say that. A function may give any reason of message-1; those that only
/// the node can mean (a right, a quota) reach the sender as `declined`, so a function cannot pretend to be the node.
[[nodiscard]] bool read_no(const abi::WorkerReply& reply, Collected& collected) noexcept;
/// What is no answer.
[[nodiscard]] Collected::What check_other(const abi::WorkerReply& reply, Collected& collected) noexcept;

[[nodiscard]] inline Collected::What check_answer(const abi::WorkerReply& reply, const WorkerLink& link,
                                                  InFlightTable& in_flight, Collected& collected) noexcept {
  if (reply.kind == static_cast<std::uint8_t>(abi::Kind::answer) && reply.reason == 0) [[likely]] {
    collected.counter = abi::Counter::answered;
    collected.answer.reason = abi::Reason::none;
  } else if (!read_no(reply, collected)) {
    return Collected::What::malformed;
  }
  const auto [verdict, entry] = in_flight.find(reply.to_slot, reply.to_generation);
  if (verdict == InFlightTable::Verdict::late) [[unlikely]]
    return Collected::What::late;
  // A right that this worker, or this process, was never given cannot have been guessed by accident.
  if (verdict == InFlightTable::Verdict::nonsense || entry->worker != link.worker() ||
      entry->process != reply.process) [[unlikely]]
    return Collected::What::malformed;
  collected.entry = entry;
  collected.answer.kind = static_cast<abi::Kind>(reply.kind);
  return Collected::What::outcome;
}

/// The worker's next record, popped. The caller releases the ring once per burst. `reply` is the copy of its header: what
/// a send asks for, and what an event says of process and restarts, which is the worker's word.
/// Both are written in place: copies would wait for the stores that made them.
[[gnu::always_inline]] inline void collect(WorkerLink& link, InFlightTable& in_flight, abi::WorkerReply& reply,
                                           Collected& collected) noexcept {
  collected.what = Collected::What::nothing;
  if (!link.readable()) return;
  const abi::RingRecord record = link.replies.front();
  if (!record) {
    if (link.replies.corrupt()) collected.what = Collected::What::corrupt;
    return;
  }
  std::memcpy(&reply, record.data, sizeof reply);
  link.replies.pop();
  // Answers of one function are mostly of one size: the entry that the fourth from here names is fetched.
  in_flight.fetch(link.replies.guess(3 * abi::round_up_64(record.length), offsetof(abi::WorkerReply, to_slot)));
  collected.what = static_cast<abi::ReplyType>(reply.type) == abi::ReplyType::answer
                       ? check_answer(reply, link, in_flight, collected)
                       : check_other(reply, collected);
  collected.answer.body = {record.data + abi::kRecordHeader, record.length - abi::kRecordHeader};
}

}  // namespace pgrid::dataplane
