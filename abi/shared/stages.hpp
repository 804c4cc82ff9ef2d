// Where the time of poll cores and workers goes, stage by stage. Only a build with -Dprofile=true writes any of it
// (dataplane/stage_clock.hpp); in every other build all of it stays zero, `built` too. The places are there in both, so that
// their programs fit together.
//
//   stats segment          StageFigures[poll_cores], StageFigures[workers], at its end     workers' copied by the helper thread
//   worker rings segment   StageFigures, at its end                                        the worker writes
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace pgrid::abi {

/// Of a poll core's turn, in its order. Those from `authorize` on are parts of the ones before them, timed for a few messages only.
enum class PollStage : std::uint32_t {
  start,    // reads the clock, the links' state, what other threads have said
  rx,       // takes a burst from a queue
  parse,    // frames to messages
  admit,    // authorize, dispatch, refuse
  free,     // the mbufs of a burst
  control,  // control's requests
  collect,  // workers' replies: taken, settled, answered
  sweep,    // deadlines that have passed
  publish,  // what was dispatched by now, and the node's gauges
  tx,       // hands answers to queues
  authorize,
  dispatch,
  refuse,
  take,     // of collect: a record from a ring, checked
  settle,   // counted, and noted on the right's line
  answer,   // an mbuf filled, and queued for tx
};
inline constexpr std::uint32_t kPollStages = 16;

/// Of a worker's turn. Those from `receive` on are parts of `activate`, as above.
enum class WorkerStage : std::uint32_t {
  start,     // supervision
  drain,     // rings to mailboxes
  activate,  // a process's guest, from entering it to what it left unread; a burst is an activation
  publish,   // gives ring space back, shows replies
  receive,   // the host call that takes a message
  guest,     // what the function does between the two
  send,      // the host call that answers
};
inline constexpr std::uint32_t kWorkerStages = 7;

constexpr std::string_view name_of(PollStage stage) {
  constexpr std::string_view names[] = {"start",   "rx", "parse",     "admit",    "free",   "control", "collect", "sweep",
                                        "publish", "tx", "authorize", "dispatch", "refuse", "take",    "settle",  "answer"};
  static_assert(std::size(names) == kPollStages);
  return names[static_cast<std::uint32_t>(stage)];
}
constexpr std::string_view name_of(WorkerStage stage) {
  constexpr std::string_view names[] = {"start", "drain", "activate", "publish", "receive", "guest", "send"};
  static_assert(std::size(names) == kWorkerStages);
  return names[static_cast<std::uint32_t>(stage)];
}

struct StageTime {
  std::atomic<std::uint64_t> ticks;     // of the time-stamp counter
  std::atomic<std::uint64_t> messages;  // packets, requests or replies that went through it
  std::atomic<std::uint64_t> bursts;    // times that it had at least one
  std::atomic<std::uint64_t> reserved;
};

inline constexpr std::uint32_t kStagesMax = 24;

/// One writer; words are consistent one by one.
struct alignas(64) StageFigures {
  std::atomic<std::uint64_t> built;        // 1: the writer measures
  std::atomic<std::uint64_t> turns;        // that found something to do; `stages` are of those
  std::atomic<std::uint64_t> empty_turns;
  std::atomic<std::uint64_t> empty_ticks;  // of turns that found nothing, and of rests between turns
  std::atomic<std::uint64_t> stamp_ticks;  // what one reading of the clock takes: part of every figure of a part
  std::atomic<std::uint64_t> reserved[3];
  StageTime stages[kStagesMax];
};
static_assert(sizeof(StageFigures) == 64 + 24 * 32);
static_assert(kPollStages <= kStagesMax && kWorkerStages <= kStagesMax);

}  // namespace pgrid::abi
