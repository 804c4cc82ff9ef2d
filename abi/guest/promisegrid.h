/* The guest ABI, version 1: what a WebAssembly function imports, exports, and sees of a message.
 *
 * Imports: only these two, from the module "promisegrid" (the name is the ABI's version; the next is "promisegrid_2").
 * Exports: "memory", and pg_activate: () -> (), optionally pg_init: () -> ().
 *
 * pg_activate is called when messages wait. Drain pg_receive_message and return; there is nothing to block on. A message
 * that two activations were offered and left unread is answered `broken` for you. Each message has a time limit, in CPU
 * time, which starts afresh at each receive; whoever passes it, or traps, loses its memory and starts again.
 *
 * A function may ask others: a request to a granted handle is taken or not at once, and what comes of it arrives later as a
 * message of its own, with the same id: PG_ANSWER, or PG_NON_COMMITMENT with a reason. Exactly one comes, unless the asker
 * is restarted meanwhile. A request sent while another is in hand (received last) gets at most the time that one has left.
 *
 * Requests and answers may carry up to four rights: handles of the sender, for which the receiver gets handles of its own that
 * stand for the same rights, with the same quota and label. All of them arrive or none. Handles that came with messages last as
 * long as the instance; a handle that was moved, or given back (pg_drop in pg_control.h), may stand for something else later.
 *
 * Everything else (minting rights, deriving, revoking, timers, ...) is a request to PG_HANDLE_CONTROL: see pg_control.h.
 */
#ifndef PROMISEGRID_H
#define PROMISEGRID_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PG_ABI_VERSION 1
#define PG_BODY_MAX 1024
#define PG_MESSAGE_MAX (64 + PG_BODY_MAX)

/* Handles that every process has. */
#define PG_HANDLE_NONE 0u
#define PG_HANDLE_SELF 1u    /* own receive right */
#define PG_HANDLE_CONTROL 2u /* abi/wire/promise-1.md */
#define PG_HANDLE_LOG 3u     /* each notice sent here is one line of `pgrid logs` */

/* Rights granted to the process, n from 0 in the order of `pgrid deploy --grant`; `pgrid inspect` shows which is which. */
#define PG_HANDLE_GRANTED(n) (4u + (n))
#define PG_GRANTS_MAX 15u
/* Handles behind those are of rights that came with messages: as many as are left below this number. */
#define PG_HANDLES_MAX 64u
#define PG_CARRIED_MAX 4u

/* How a right is carried. Granted handles can be copied only. */
enum pg_mode { PG_COPY = 1, PG_MOVE = 2 };

enum pg_kind { PG_REQUEST = 0, PG_ANSWER = 1, PG_NON_COMMITMENT = 2, PG_NOTICE = 3 };

enum pg_reason {
  PG_REASON_NONE = 0,
  PG_UNKNOWN_PROTOCOL = 1,
  PG_NO_SUCH_RIGHT = 2,
  PG_NOT_PERMITTED = 3,
  PG_QUOTA_EXCEEDED = 4,
  PG_BUSY = 5,
  PG_TOO_LARGE = 6,
  PG_BROKEN = 7,
  PG_DECLINED = 8,
  PG_NO_ANSWER = 9,
  PG_PROCESS_FAILED = 10
};

/* Negative results of send and receive. */
enum pg_error {
  PG_ERROR_HANDLE = -1,   /* no such handle (to, or carried), or a reply handle that was used or has passed its deadline */
  PG_ERROR_BUSY = -2,     /* no room now; try again at the next activation */
  PG_ERROR_LENGTH = -3,   /* send: too large or shorter than a header; receive: capacity too small, nothing lost */
  PG_ERROR_POINTER = -4,  /* outside the memory */
  PG_ERROR_MESSAGE = -5   /* unknown version, kind or mode, reserved bytes not zero, or kind does not fit the handle */
};

/* A message: this header, little-endian, then body_length bytes. */
struct pg_message {
  uint8_t version;        /* PG_ABI_VERSION */
  uint8_t kind;           /* enum pg_kind */
  uint16_t reason;        /* enum pg_reason, of a non-commitment */
  uint32_t to;            /* send: handle; receive: PG_HANDLE_SELF */
  uint32_t reply;         /* receive: send-once handle to answer with, or PG_HANDLE_NONE; send: PG_HANDLE_NONE */
  uint32_t body_length;   /* at most PG_BODY_MAX */
  uint8_t id[8];          /* the sender's; of a reply: ignored, the node puts in the request's */
  uint64_t label;         /* receive: of the right it came through; send: 0 */
  uint32_t deadline_us;   /* receive: time that was left at dispatch; send: asked for, 0: the right's maximum */
  uint32_t rights[4];     /* carried handles, without gaps; PG_HANDLE_NONE where there is none. Receive: handles that this
                             instance now holds. A non-commitment brings back those that its request was to move, when the
                             request reached nobody */
  uint8_t rights_mode[4]; /* send: enum pg_mode, 0: nothing is carried there, whatever the handle; receive: 0 */
  uint32_t reserved[2];   /* 0 */
};
#ifndef __cplusplus
_Static_assert(sizeof(struct pg_message) == 64, "the header is 64 bytes");
#else
static_assert(sizeof(struct pg_message) == 64, "the header is 64 bytes");
#endif

#ifdef __wasm__
#define PG_IMPORT(name) __attribute__((import_module("promisegrid"), import_name(name)))
#define PG_EXPORT(name) __attribute__((export_name(name)))

/* > 0 length of the message written to buffer; 0 nothing waiting; < 0 enum pg_error. */
PG_IMPORT("receive") int32_t pg_receive_raw(void* buffer, uint32_t capacity);
/* 0 taken; < 0 enum pg_error. */
PG_IMPORT("send") int32_t pg_send_raw(const void* message, uint32_t length);

/* A message with room for the largest body. */
struct pg_buffer {
  struct pg_message header;
  uint8_t body[PG_BODY_MAX];
};

/* Takes the next waiting message. 1: there is one; 0: nothing waits; < 0: enum pg_error. */
static inline int32_t pg_receive_message(struct pg_buffer* message) {
  const int32_t length = pg_receive_raw(message, sizeof *message);
  return length > 0 ? 1 : length;
}

/* Sends header and body_length bytes of body. 0: taken; < 0: enum pg_error. */
static inline int32_t pg_send_message(const struct pg_buffer* message) {
  return pg_send_raw(message, (uint32_t)sizeof message->header + message->header.body_length);
}

static inline void pg_zero_(void* memory, uint32_t length) {
  for (uint32_t i = 0; i < length; ++i) ((volatile uint8_t*)memory)[i] = 0;
}

/* Nothing is carried. */
static inline void pg_carry_nothing(struct pg_buffer* message) {
  for (uint32_t i = 0; i < PG_CARRIED_MAX; ++i) {
    message->header.rights[i] = PG_HANDLE_NONE;
    message->header.rights_mode[i] = 0;
  }
}

/* One more right for a message that is about to be sent, by pg_send_message: 0, or PG_ERROR_LENGTH: it carries four. A moved
 * one is not this function's any more when send took the message. */
static inline int32_t pg_carry(struct pg_buffer* message, uint32_t handle, enum pg_mode mode) {
  for (uint32_t i = 0; i < PG_CARRIED_MAX; ++i) {
    if (message->header.rights_mode[i] != 0) continue;
    message->header.rights[i] = handle;
    message->header.rights_mode[i] = (uint8_t)mode;
    return 0;
  }
  return PG_ERROR_LENGTH;
}

/* Makes the header of a received request that of its answer, which carries nothing yet. */
static inline void pg_make_answer(struct pg_buffer* message, uint32_t body_length) {
  message->header.kind = PG_ANSWER;
  message->header.reason = PG_REASON_NONE;
  message->header.to = message->header.reply;
  message->header.reply = PG_HANDLE_NONE;
  message->header.label = 0;
  message->header.body_length = body_length;
  pg_carry_nothing(message);
}

/* Turns a received request into its answer: the body is what `message` holds. */
static inline int32_t pg_answer(struct pg_buffer* message, uint32_t body_length) {
  pg_make_answer(message, body_length);
  return pg_send_message(message);
}

/* Says no to a received request: a non-commitment, neutral for reputation. */
static inline int32_t pg_decline(struct pg_buffer* message) {
  message->header.kind = PG_NON_COMMITMENT;
  message->header.reason = PG_DECLINED;
  message->header.to = message->header.reply;
  message->header.reply = PG_HANDLE_NONE;
  message->header.label = 0;
  message->header.body_length = 0;
  pg_carry_nothing(message);
  return pg_send_message(message);
}

/* Makes the header of a request, which carries nothing yet; the body is there already. What comes of it has the same id. */
static inline void pg_make_request(struct pg_buffer* message, uint32_t to, uint64_t id, uint32_t body_length) {
  pg_zero_(&message->header, sizeof message->header);
  message->header.version = PG_ABI_VERSION;
  message->header.kind = PG_REQUEST;
  message->header.to = to;
  message->header.body_length = body_length;
  for (uint32_t i = 0; i < 8; ++i) message->header.id[i] = (uint8_t)(id >> (8 * i));
}

/* Makes a request to a handle of `message`, whose body is there already, and sends it. What comes of it has the same id.
 * 0: taken; < 0: enum pg_error (PG_ERROR_BUSY: too many of this process's requests are waiting). */
static inline int32_t pg_request(struct pg_buffer* message, uint32_t to, uint64_t id, uint32_t body_length) {
  pg_make_request(message, to, id, body_length);
  return pg_send_message(message);
}

/* The id of a message as a number, as pg_request wrote it. */
static inline uint64_t pg_id(const struct pg_buffer* message) {
  uint64_t id = 0;
  for (uint32_t i = 0; i < 8; ++i) id |= (uint64_t)message->header.id[i] << (8 * i);
  return id;
}

/* Writes one line to `pgrid logs`. `text` ends with NUL; what is beyond PG_BODY_MAX bytes is cut. */
static inline int32_t pg_log(const char* text) {
  static struct pg_buffer line; /* not on the stack: a guest's stack is small */
  uint32_t length = 0;
  pg_zero_(&line.header, sizeof line.header);
  while (length < PG_BODY_MAX && text[length] != 0) {
    line.body[length] = (uint8_t)text[length];
    ++length;
  }
  line.header.version = PG_ABI_VERSION;
  line.header.kind = PG_NOTICE;
  line.header.to = PG_HANDLE_LOG;
  line.header.body_length = length;
  return pg_send_message(&line);
}
#endif /* __wasm__ */

#ifdef __cplusplus
}
#endif
#endif
