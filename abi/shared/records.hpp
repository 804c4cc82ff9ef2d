// What lies in the byte rings: one 64-byte header, then the body. Little-endian, as every machine this runs on.
//
//   poll core -> worker    WorkerRequest              (request ring)
//   worker -> poll core    WorkerReply                (reply ring; one part of it is kept for answers)
//   control -> poll core   ControlRequest             (control's request ring)
//   poll core -> control   ControlEvent               (control's event ring)
//
// A record's `length` is read by the ring alone. Whoever takes a record copies the header to its own memory first, then
// checks it, then uses it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "abi/shared/geometry.hpp"
#include "abi/shared/reason.hpp"

namespace pgrid::abi {

/// Bit 31 of a slot: a send-once right, which lives in a poll core's in-flight table. Bits 14 to 16 name the poll core,
/// bits 0 to 13 the entry; the others are zero.
inline constexpr std::uint32_t kSendOnce = 1u << 31;
constexpr std::uint32_t send_once_slot(std::uint32_t poll_core, std::uint32_t entry) {
  return kSendOnce | poll_core << 14 | entry;
}
constexpr bool is_send_once(std::uint32_t slot) { return (slot & kSendOnce) != 0; }
constexpr std::uint32_t send_once_core(std::uint32_t slot) { return slot >> 14 & (kPollCoresMax - 1); }
constexpr std::uint32_t send_once_entry(std::uint32_t slot) { return slot & (kInFlightMax - 1); }
static_assert(kPollCoresMax == 8 && kInFlightMax == 1u << 14);

/// A message for a process. `process` and the send-once right were checked by the poll core. A request, or what came of a
/// request that the process sent itself (answer or non_commitment: `reply_slot` is 0), or a notice from control.
///
/// `rights` are handles of the receiving process that the poll core has filled for it (`carried_handle`), the first ones in
/// front: an instance that receives the message holds them, and when it ends, or the message is thrown away unread, the worker
/// gives them back (ReplyType::drop). In a non_commitment that refuses a request of the process itself they are those that the
/// request was to move: they stay where they were.
struct WorkerRequest {
  std::uint32_t length;            // 64 + body
  std::uint8_t kind;               // Kind
  std::uint8_t hops;               // functions that the request passed before; of an answer: as when it was asked
  std::uint16_t reason;            // Reason, of a non-commitment
  std::uint32_t process;           // index on this node
  std::uint32_t reply_slot;        // send-once right to answer with; 0: none wanted
  std::uint32_t reply_generation;  // of an answer: WorkerReply::instance of the request; of a notice: for which instance, 0: any
  std::uint32_t deadline_us;       // time that is left; of an answer: of the request
  std::uint8_t id[8];              // the sender's
  std::uint64_t label;             // of the right it came through
  std::uint32_t rights[kCarriedRightsMax];  // carried_handle; 0: none
  std::uint64_t dispatched_tsc;    // when the poll core wrote it
};
static_assert(sizeof(WorkerRequest) == kRecordHeader && std::is_trivially_copyable_v<WorkerRequest>);
static_assert(offsetof(WorkerRequest, id) == 24 && offsetof(WorkerRequest, rights) == 40);

/// A handle that a record brings, and for which generation of the process it is: the index may have another one by the time
/// the record is read. 6 bits of handle, never 0, and the low 26 of the generation.
constexpr std::uint32_t carried_handle(std::uint32_t handle, std::uint32_t process_generation) {
  return handle | process_generation << 6;
}
constexpr std::uint32_t handle_of(std::uint32_t carried) { return carried & (kHandlesMax - 1); }
constexpr std::uint32_t generation_of(std::uint32_t carried) { return carried >> 6; }
constexpr bool is_same_generation(std::uint32_t one, std::uint32_t other) { return ((one ^ other) & ~0u >> 6) == 0; }
static_assert(kHandlesMax == 1u << 6);

enum class ReplyType : std::uint8_t {
  answer = 1,   // consumes the send-once right `to_slot`; kind is answer or non_commitment
  send = 2,     // a guest's own request through handle `to_slot`, abi::kHandleControl included; by way of the worker's home
                // poll core only
  log = 3,      // the body is one line of text for `pgrid logs`
  event = 4,    // what became of an instance, or what one did: body says it in words, `violation` in one; `to_slot` restarts
                // since it was loaded, `to_generation` milliseconds for which it is not served (back-off), `instance` the one
                // that serves now (0: none at the moment). `reason` none: it was asked to restart
  drop = 5,     // `process` of `process_generation` (its low 26 bits) gives handles back: the body is a u64, bit n for handle n,
                // from kFirstCarried on; `to_slot` 1: a notice was thrown away. By way of the worker's home poll core only
};

/// What a function did that its limits forbid.
enum class Violation : std::uint8_t {
  none = 0,
  trap = 1,    // it stopped: unreachable code, a division by zero, ...
  time = 2,    // more CPU time for a message than it may use
  memory = 3,  // an address outside its memory
  stack = 4,   // calls deeper than its stack
  init = 5,    // the next instance could not be made, or its pg_init stopped
  unread = 6,  // messages that it was offered twice and did not read
  handle = 7,  // it sent through handles that it does not hold
};
inline constexpr std::uint8_t kViolationCount = 8;
/// Whether the instance ended by it.
constexpr bool ends_instance(Violation v) { return v >= Violation::trap && v <= Violation::init; }
constexpr std::string_view name_of(Violation v) {
  constexpr std::string_view names[] = {"none", "trap", "time", "memory", "stack", "init", "unread", "handle"};
  const auto i = static_cast<std::uint8_t>(v);
  return i < kViolationCount ? names[i] : "unknown";
}

inline constexpr std::uint32_t kHandleControl = 2;  // abi/guest: PG_HANDLE_CONTROL

/// What a worker hands back. Every field is hostile until checked.
struct WorkerReply {
  std::uint32_t length;            // 64 + body
  std::uint8_t type;               // ReplyType
  std::uint8_t kind;               // Kind
  std::uint16_t reason;            // Reason
  std::uint32_t process;           // who sends
  std::uint32_t to_slot;
  std::uint32_t to_generation;
  std::uint32_t deadline_us;       // of a send: as asked, at most what is left of the message in hand; 0: the right's
  std::uint8_t id[8];              // of a send
  std::uint32_t rights[kCarriedRightsMax];      // of a send or an answer: the sender's handles
  std::uint8_t rights_mode[kCarriedRightsMax];  // 0 none, 1 copy, 2 move
  std::uint32_t instance;          // of a send: which incarnation asks; comes back with the answer
  std::uint32_t process_generation;  // of a send, an event, a drop, and an answer with rights: LoadProcess::generation
  std::uint8_t hops;               // of a send: functions passed, this one included; one more than kHopsMax is refused
  std::uint8_t violation;          // Violation, of an event
  std::uint8_t reserved[2];
};
static_assert(sizeof(WorkerReply) == kRecordHeader && std::is_trivially_copyable_v<WorkerReply>);

enum class ControlRequestType : std::uint8_t {
  message = 1,  // a message for `slot`, as if it had come from the wire; its answer returns as a ControlEvent
  answer = 2,   // to a guest_request: `slot` and `generation` are its send-once right; kind is answer or non_commitment
  notice = 3,   // for the process with index `slot` and generation `generation`; by way of its worker's home poll core.
                // Lost when its mailbox is full (counted), and when its instance is not `instance` any more
};

/// The rights that a record carries stand before its body: `nb_rights` times RightRef. Nothing is checked of them but that
/// they are there: who says them is trusted to know (control), or was checked before (poll core).
struct ControlRequest {
  std::uint32_t length;            // 64 + 8 * nb_rights + body
  std::uint8_t type;               // ControlRequestType
  std::uint8_t kind;               // Kind
  std::uint8_t nb_rights;          // at most kCarriedRightsMax
  std::uint8_t reserved0;
  std::uint32_t slot;
  std::uint32_t generation;
  std::uint8_t key[16];
  std::uint8_t id[8];              // control's own; echoed
  std::uint32_t deadline_us;       // 0: the right's maximum
  std::uint16_t reason;            // Reason, of a non_commitment
  std::uint16_t worker;            // of a notice: where the process lives
  std::uint32_t instance;          // of a notice: for which incarnation; 0: any
  std::uint8_t reserved[12];
};
static_assert(sizeof(ControlRequest) == kRecordHeader && std::is_trivially_copyable_v<ControlRequest>);

enum class ControlEventType : std::uint8_t {
  answer = 1,          // to a ControlRequest: id, kind, reason, body
  log = 2,             // a guest's line: process, body
  instance_event = 3,  // ReplyType::event: process, reason, violation, body says it in words
  punt = 4,            // a promise-protocol datagram: body is a PuntSource, then the UDP payload
  guest_request = 5,   // a function asks control (handle 2): who, a send-once right to answer with, rights, body
  undelivered = 6,     // an answer of control's did not reach its asker (gone, past its deadline, or no handle free): the
                       // rights that it carried; `id` as in the request
};

struct ControlEvent {
  std::uint32_t length;            // 64 + 8 * nb_rights + body
  std::uint8_t type;               // ControlEventType
  std::uint8_t kind;
  std::uint16_t reason;
  std::uint32_t process;
  std::uint32_t worker;
  std::uint8_t id[8];              // of an answer and of a guest_request
  std::uint64_t elapsed_ns;        // of an answer: from dispatch to collect
  std::uint32_t restarts;          // of an instance_event: since the process was loaded
  std::uint32_t backoff_ms;        // of an instance_event: for so long it is not served; 0: it is
  std::uint32_t instance;          // of an instance_event: which serves now, 0: none; of a guest_request: which asks. From 1
  std::uint32_t process_generation;  // of a guest_request and an instance_event
  std::uint32_t reply_slot;        // of a guest_request: send-once right to answer with
  std::uint32_t reply_generation;
  std::uint8_t nb_rights;          // of an answer, a guest_request and undelivered; at most kCarriedRightsMax
  std::uint8_t violation;          // Violation, of an instance_event
  std::uint8_t reserved[6];
};
static_assert(sizeof(ControlEvent) == kRecordHeader && std::is_trivially_copyable_v<ControlEvent>);

/// Where a punted datagram came from, and where its answer goes.
struct PuntSource {
  std::uint8_t source[16];         // IPv6 address, or IPv4 mapped (::ffff:0:0/96)
  std::uint16_t source_port;       // host order
  std::uint16_t port_id;           // where it came in
  std::uint32_t reserved;
};
static_assert(sizeof(PuntSource) == 24);

}  // namespace pgrid::abi
