/* What a function asks of control, one line for each request: rights, timers, random numbers, other functions, tokens, history.
 * The requests are those of abi/wire/promise-1.md, which says what each does, who may, and what is refused.
 *
 * Every function here writes a request into `message`, sends it to PG_HANDLE_CONTROL and returns as pg_send_message does: 0, it
 * was taken, or enum pg_error. What comes of it arrives later as a message with the same id: PG_ANSWER, whose body pg_field_*
 * read and which brings the right that was asked for (pg_given), or PG_NON_COMMITMENT with a reason. `message` must not be one
 * whose answer or body is still needed.
 *
 * Control also sends notices (kind PG_NOTICE) of its own accord: pg_notice_op says about what.
 */
#ifndef PROMISEGRID_CONTROL_H
#define PROMISEGRID_CONTROL_H

#include "promisegrid.h"

#ifdef __wasm__
#ifdef __cplusplus
extern "C" {
#endif

/* ---- CBOR, as much of it as promise-1 has: deterministic, no floats, no tags */

enum pg_major { PG_UINT = 0, PG_BYTES = 2, PG_TEXT = 3, PG_ARRAY = 4, PG_MAP = 5, PG_SIMPLE = 7 };

struct pg_writer {
  uint8_t* bytes;
  uint32_t length;
  uint32_t capacity;
  uint32_t full; /* 1: it did not fit, and what was written is worth nothing */
};

static inline void pg_put_byte(struct pg_writer* out, uint8_t byte) {
  if (out->length < out->capacity)
    ((volatile uint8_t*)out->bytes)[out->length++] = byte; /* volatile: no call to a library that is not there */
  else
    out->full = 1;
}
/* The head of an item: its number, or how long it is, in the shortest form. */
static inline void pg_put(struct pg_writer* out, enum pg_major major, uint64_t value) {
  const uint8_t type = (uint8_t)(major << 5);
  uint32_t more = 0; /* bytes behind the first */
  if (value > 0xffffffffu)
    more = 8;
  else if (value > 0xffffu)
    more = 4;
  else if (value > 0xffu)
    more = 2;
  else if (value > 23u)
    more = 1;
  pg_put_byte(out, (uint8_t)(type | (more == 0 ? value : more == 1 ? 24u : more == 2 ? 25u : more == 4 ? 26u : 27u)));
  for (uint32_t i = more; i != 0; --i) pg_put_byte(out, (uint8_t)(value >> (8 * (i - 1))));
}
static inline void pg_put_string(struct pg_writer* out, enum pg_major major, const void* bytes, uint32_t length) {
  pg_put(out, major, length);
  for (uint32_t i = 0; i < length; ++i) pg_put_byte(out, ((const uint8_t*)bytes)[i]);
}
static inline uint32_t pg_length_(const char* text) {
  uint32_t length = 0;
  while (text[length] != 0) ++length;
  return length;
}
static inline void pg_put_text(struct pg_writer* out, const char* text) { pg_put_string(out, PG_TEXT, text, pg_length_(text)); }
static inline void pg_put_bool(struct pg_writer* out, int value) { pg_put(out, PG_SIMPLE, value ? 21 : 20); }

struct pg_reader {
  const uint8_t* bytes;
  uint32_t length; /* that are left */
  uint32_t wrong;  /* 1: it ended too early, or is no CBOR of this kind; everything read then is 0 */
};

/* An item: its head is read. Of strings the bytes, of others `value`. */
struct pg_item {
  enum pg_major major;
  uint64_t value;       /* number, length, count of items or pairs; 20 false, 21 true */
  const uint8_t* bytes; /* of a string, `value` of them */
};
static inline struct pg_item pg_read(struct pg_reader* in) {
  struct pg_item item = {PG_UINT, 0, 0};
  if (in->length == 0) in->wrong = 1;
  if (in->wrong) return item;
  const uint8_t first = in->bytes[0];
  const uint32_t info = first & 31u;
  const uint32_t more = info < 24 ? 0 : info == 24 ? 1 : info == 25 ? 2 : info == 26 ? 4 : info == 27 ? 8 : 99;
  const uint32_t major = first >> 5;
  if (more == 99 || in->length <= more || major == 1 || major == 6 || (major == 7 && info != 20 && info != 21)) {
    in->wrong = 1;
    return item;
  }
  uint64_t value = more == 0 ? info : 0;
  for (uint32_t i = 1; i <= more; ++i) value = value << 8 | in->bytes[i];
  in->bytes += 1 + more;
  in->length -= 1 + more;
  if ((major == PG_BYTES || major == PG_TEXT) && value > in->length) {
    in->wrong = 1;
    return item;
  }
  item.major = (enum pg_major)major;
  item.value = value;
  if (major == PG_BYTES || major == PG_TEXT) {
    item.bytes = in->bytes;
    in->bytes += value;
    in->length -= (uint32_t)value;
  }
  return item;
}
/* Passes one item over, with all that is in it. */
static inline void pg_skip(struct pg_reader* in) {
  uint64_t items = 1;
  while (items != 0 && !in->wrong) {
    const struct pg_item item = pg_read(in);
    --items;
    if (item.value > in->length && (item.major == PG_ARRAY || item.major == PG_MAP)) in->wrong = 1; /* it would not fit */
    if (item.major == PG_ARRAY) items += item.value;
    if (item.major == PG_MAP) items += 2 * item.value;
  }
}

/* ---- keys, operations and what they allow (promise-1) */

enum pg_key {
  PG_KEY_OP = 0, PG_KEY_LABEL = 1, PG_KEY_CAN = 2, PG_KEY_RATE = 3, PG_KEY_BURST = 4, PG_KEY_IN_FLIGHT = 5,
  PG_KEY_BODY_MAX = 6, PG_KEY_DEADLINE_US = 7, PG_KEY_EXPIRES_MS = 8, PG_KEY_NUMBER = 9, PG_KEY_WHO = 10, PG_KEY_US = 11,
  PG_KEY_COUNT = 12, PG_KEY_TEXT = 13, PG_KEY_TAGS = 14, PG_KEY_OPEN = 15, PG_KEY_NAME = 16, PG_KEY_WHY = 17, PG_KEY_WANT = 18,
  PG_KEY_SINCE = 19, PG_KEY_BYTES = 20, PG_KEY_MORE = 21, PG_KEY_CID = 22, PG_KEY_LIST = 23, PG_KEY_VERDICT = 24,
  PG_KEY_AFTER = 25
};
enum pg_op {
  PG_OP_MINT = 1, PG_OP_DERIVE = 2, PG_OP_GRANT = 3, PG_OP_ATTENUATE = 4, PG_OP_REVOKE = 5, PG_OP_DROP = 6, PG_OP_NOTIFY = 7,
  PG_OP_TIMER = 8, PG_OP_RANDOM = 9, PG_OP_ADVERTISE = 10, PG_OP_DISCOVER = 11, PG_OP_ISSUE_TOKEN = 12,
  PG_OP_REDEEM_TOKEN = 13, PG_OP_REVOKE_TOKEN = 14, PG_OP_HISTORY = 15,
  PG_OP_RIGHT_DIED = 32, PG_OP_RIGHT_GRANTED = 33 /* notices */
};
enum pg_can { PG_CAN_SEND = 1, PG_CAN_DERIVE = 2, PG_CAN_CARRY = 4 };
enum pg_why { PG_WHY_REVOKED = 1, PG_WHY_EXPIRED = 2, PG_WHY_REMOVED = 3, PG_WHY_GAVE_UP = 4, PG_WHY_MAKER_ENDED = 5 };

/* What a right allows. 0: left out, which is as promise-1 says for the operation; PG_ZERO: 0 itself (no rate, no body). */
#define PG_ZERO 0xffffffffu
struct pg_limits {
  uint32_t can;         /* sum of enum pg_can */
  uint32_t rate;        /* messages a second */
  uint32_t burst;       /* messages at once */
  uint32_t in_flight;   /* requests that wait for their answer */
  uint32_t body_max;    /* bytes */
  uint32_t deadline_us;
  uint64_t expires_ms;  /* from now */
};

static inline uint32_t pg_count_limits_(const struct pg_limits* limits) {
  if (limits == 0) return 0;
  return (limits->can != 0) + (limits->rate != 0) + (limits->burst != 0) + (limits->in_flight != 0) + (limits->body_max != 0) +
         (limits->deadline_us != 0) + (limits->expires_ms != 0);
}
static inline void pg_put_field_(struct pg_writer* out, enum pg_key key, uint64_t value) {
  if (value == 0) return;
  pg_put(out, PG_UINT, key);
  pg_put(out, PG_UINT, value == PG_ZERO && key != PG_KEY_EXPIRES_MS ? 0 : value);
}
static inline void pg_put_limits_(struct pg_writer* out, const struct pg_limits* limits) {
  if (limits == 0) return;
  pg_put_field_(out, PG_KEY_CAN, limits->can);
  pg_put_field_(out, PG_KEY_RATE, limits->rate);
  pg_put_field_(out, PG_KEY_BURST, limits->burst);
  pg_put_field_(out, PG_KEY_IN_FLIGHT, limits->in_flight);
  pg_put_field_(out, PG_KEY_BODY_MAX, limits->body_max);
  pg_put_field_(out, PG_KEY_DEADLINE_US, limits->deadline_us);
  pg_put_field_(out, PG_KEY_EXPIRES_MS, limits->expires_ms);
}

/* ---- making a request by hand: begin, put `pairs` keys in rising order behind the op, carry, ask */

static inline struct pg_writer pg_begin(struct pg_buffer* message, enum pg_op op, uint32_t pairs) {
  struct pg_writer out = {message->body, 0, PG_BODY_MAX, 0};
  pg_make_request(message, PG_HANDLE_CONTROL, 0, 0);
  pg_put(&out, PG_MAP, 1 + pairs);
  pg_put(&out, PG_UINT, PG_KEY_OP);
  pg_put(&out, PG_UINT, op);
  return out;
}
static inline int32_t pg_ask(struct pg_buffer* message, const struct pg_writer* out, uint64_t id) {
  if (out->full) return PG_ERROR_LENGTH;
  for (uint32_t i = 0; i < 8; ++i) message->header.id[i] = (uint8_t)(id >> (8 * i));
  message->header.body_length = out->length;
  return pg_send_message(message);
}

/* ---- rights. `limits` may be a null pointer: nothing is narrowed */

/* A right that leads to this function; the label is on every message that comes through it. */
static inline int32_t pg_mint(struct pg_buffer* message, uint64_t id, uint64_t label, const struct pg_limits* limits) {
  struct pg_writer out = pg_begin(message, PG_OP_MINT, 1 + pg_count_limits_(limits));
  pg_put(&out, PG_UINT, PG_KEY_LABEL);
  pg_put(&out, PG_UINT, label);
  pg_put_limits_(&out, limits);
  return pg_ask(message, &out, id);
}
static inline int32_t pg_about_(struct pg_buffer* message, enum pg_op op, uint64_t id, uint32_t handle,
                                const struct pg_limits* limits) {
  struct pg_writer out = pg_begin(message, op, pg_count_limits_(limits));
  pg_put_limits_(&out, limits);
  pg_carry(message, handle, PG_COPY);
  return pg_ask(message, &out, id);
}
/* A narrower right from one that is held. */
static inline int32_t pg_derive(struct pg_buffer* message, uint64_t id, uint32_t handle, const struct pg_limits* limits) {
  return pg_about_(message, PG_OP_DERIVE, id, handle, limits);
}
/* The same with a label: for rights that lead to this function. */
static inline int32_t pg_derive_labelled(struct pg_buffer* message, uint64_t id, uint32_t handle, uint64_t label,
                                         const struct pg_limits* limits) {
  struct pg_writer out = pg_begin(message, PG_OP_DERIVE, 1 + pg_count_limits_(limits));
  pg_put(&out, PG_UINT, PG_KEY_LABEL);
  pg_put(&out, PG_UINT, label);
  pg_put_limits_(&out, limits);
  pg_carry(message, handle, PG_COPY);
  return pg_ask(message, &out, id);
}
static inline int32_t pg_for_whom_(struct pg_buffer* message, enum pg_op op, uint64_t id, uint32_t handle, const char* who,
                                   const struct pg_limits* limits) {
  struct pg_writer out = pg_begin(message, op, 1 + pg_count_limits_(limits));
  pg_put_limits_(&out, limits);
  pg_put(&out, PG_UINT, PG_KEY_WHO);
  pg_put_text(&out, who);
  pg_carry(message, handle, PG_COPY);
  return pg_ask(message, &out, id);
}
/* A narrower right for the process `who` of this node, which hears of it by a notice. */
static inline int32_t pg_grant(struct pg_buffer* message, uint64_t id, uint32_t handle, const char* who,
                               const struct pg_limits* limits) {
  return pg_for_whom_(message, PG_OP_GRANT, id, handle, who, limits);
}
/* Narrows the right itself, for everybody who has it. */
static inline int32_t pg_attenuate(struct pg_buffer* message, uint64_t id, uint32_t handle, const struct pg_limits* limits) {
  return pg_about_(message, PG_OP_ATTENUATE, id, handle, limits);
}
/* Ends the right and all that was derived from it. */
static inline int32_t pg_revoke(struct pg_buffer* message, uint64_t id, uint32_t handle) {
  return pg_about_(message, PG_OP_REVOKE, id, handle, 0);
}
/* Gives a handle back that came with a message. Others who hold the right keep it. */
static inline int32_t pg_drop(struct pg_buffer* message, uint64_t id, uint32_t handle) {
  struct pg_writer out = pg_begin(message, PG_OP_DROP, 0);
  pg_carry(message, handle, PG_MOVE);
  return pg_ask(message, &out, id);
}
/* Asks for a notice, with that number in it, when the right dies. */
static inline int32_t pg_notify(struct pg_buffer* message, uint64_t id, uint32_t handle, uint64_t number) {
  struct pg_writer out = pg_begin(message, PG_OP_NOTIFY, 1);
  pg_put(&out, PG_UINT, PG_KEY_NUMBER);
  pg_put(&out, PG_UINT, number);
  pg_carry(message, handle, PG_COPY);
  return pg_ask(message, &out, id);
}

/* ---- of everyday use */

/* Answered after so many microseconds, at most 60,000,000; sooner with no_answer, when a message is in hand (received last in
 * this activation) that has less time left. */
static inline int32_t pg_timer(struct pg_buffer* message, uint64_t id, uint32_t us) {
  struct pg_writer out = pg_begin(message, PG_OP_TIMER, 1);
  pg_put(&out, PG_UINT, PG_KEY_US);
  pg_put(&out, PG_UINT, us);
  message->header.deadline_us = (us < 60000000u ? us : 60000000u) + 1000000u; /* a second for the answer to come back */
  return pg_ask(message, &out, id);
}
/* So many random bytes, at most 256: pg_field_bytes(answer, PG_KEY_BYTES, ...). */
static inline int32_t pg_random(struct pg_buffer* message, uint64_t id, uint32_t count) {
  struct pg_writer out = pg_begin(message, PG_OP_RANDOM, 1);
  pg_put(&out, PG_UINT, PG_KEY_COUNT);
  pg_put(&out, PG_UINT, count);
  return pg_ask(message, &out, id);
}

/* ---- functions of this node */

/* Says what this function does. `tags`: nb_tags texts. */
static inline int32_t pg_advertise(struct pg_buffer* message, uint64_t id, const char* text, const char* const* tags,
                                   uint32_t nb_tags) {
  struct pg_writer out = pg_begin(message, PG_OP_ADVERTISE, 1 + (nb_tags != 0));
  pg_put(&out, PG_UINT, PG_KEY_TEXT);
  pg_put_text(&out, text);
  if (nb_tags != 0) {
    pg_put(&out, PG_UINT, PG_KEY_TAGS);
    pg_put(&out, PG_ARRAY, nb_tags);
    for (uint32_t i = 0; i < nb_tags; ++i) pg_put_text(&out, tags[i]);
  }
  return pg_ask(message, &out, id);
}
/* And lets anybody on the node have a right to it, with this label and these limits. */
static inline int32_t pg_advertise_open(struct pg_buffer* message, uint64_t id, const char* text, const char* const* tags,
                                        uint32_t nb_tags, uint64_t label, const struct pg_limits* limits) {
  struct pg_writer out = pg_begin(message, PG_OP_ADVERTISE, 3 + pg_count_limits_(limits) + (nb_tags != 0));
  pg_put(&out, PG_UINT, PG_KEY_LABEL);
  pg_put(&out, PG_UINT, label);
  pg_put_limits_(&out, limits);
  pg_put(&out, PG_UINT, PG_KEY_TEXT);
  pg_put_text(&out, text);
  if (nb_tags != 0) {
    pg_put(&out, PG_UINT, PG_KEY_TAGS);
    pg_put(&out, PG_ARRAY, nb_tags);
    for (uint32_t i = 0; i < nb_tags; ++i) pg_put_text(&out, tags[i]);
  }
  pg_put(&out, PG_UINT, PG_KEY_OPEN);
  pg_put_bool(&out, 1);
  return pg_ask(message, &out, id);
}
/* Functions whose name begins with `name` (""; any) and that have the tag (a null pointer: any), behind `after` (a null
 * pointer: from the first): pg_field(answer, PG_KEY_LIST, ...). */
static inline int32_t pg_discover(struct pg_buffer* message, uint64_t id, const char* name, const char* tag, const char* after) {
  struct pg_writer out = pg_begin(message, PG_OP_DISCOVER, 1 + (tag != 0) + (after != 0));
  if (tag != 0) {
    pg_put(&out, PG_UINT, PG_KEY_TAGS);
    pg_put(&out, PG_ARRAY, 1);
    pg_put_text(&out, tag);
  }
  pg_put(&out, PG_UINT, PG_KEY_NAME);
  pg_put_text(&out, name);
  if (after != 0) {
    pg_put(&out, PG_UINT, PG_KEY_AFTER);
    pg_put_text(&out, after);
  }
  return pg_ask(message, &out, id);
}
/* A right to the open function of that name. */
static inline int32_t pg_discover_right(struct pg_buffer* message, uint64_t id, const char* name) {
  struct pg_writer out = pg_begin(message, PG_OP_DISCOVER, 2);
  pg_put(&out, PG_UINT, PG_KEY_NAME);
  pg_put_text(&out, name);
  pg_put(&out, PG_UINT, PG_KEY_WANT);
  pg_put_bool(&out, 1);
  return pg_ask(message, &out, id);
}

/* ---- tokens: rights that can leave the node */

/* A token for the DID `who`; limits->expires_ms must be given, at most 24 hours: pg_field_bytes(answer, PG_KEY_BYTES, ...). */
static inline int32_t pg_issue_token(struct pg_buffer* message, uint64_t id, uint32_t handle, const char* who,
                                     const struct pg_limits* limits) {
  return pg_for_whom_(message, PG_OP_ISSUE_TOKEN, id, handle, who, limits);
}
/* A part of an invocation and its proofs, at most 1,000 bytes; `more`: others follow. The last one's answer brings the right. */
static inline int32_t pg_redeem_token(struct pg_buffer* message, uint64_t id, const void* bytes, uint32_t length, int more) {
  struct pg_writer out = pg_begin(message, PG_OP_REDEEM_TOKEN, 1 + (more != 0));
  pg_put(&out, PG_UINT, PG_KEY_BYTES);
  pg_put_string(&out, PG_BYTES, bytes, length);
  if (more) {
    pg_put(&out, PG_UINT, PG_KEY_MORE);
    pg_put_bool(&out, 1);
  }
  return pg_ask(message, &out, id);
}
/* `cid`: 36 bytes. */
static inline int32_t pg_revoke_token(struct pg_buffer* message, uint64_t id, const uint8_t* cid) {
  struct pg_writer out = pg_begin(message, PG_OP_REVOKE_TOKEN, 1);
  pg_put(&out, PG_UINT, PG_KEY_CID);
  pg_put_string(&out, PG_BYTES, cid, 36);
  return pg_ask(message, &out, id);
}

/* Events of the node's log about this process, behind the one with number `since`: pg_field(answer, PG_KEY_LIST, ...). */
static inline int32_t pg_history(struct pg_buffer* message, uint64_t id, uint64_t since, uint32_t count) {
  struct pg_writer out = pg_begin(message, PG_OP_HISTORY, 2);
  pg_put(&out, PG_UINT, PG_KEY_COUNT);
  pg_put(&out, PG_UINT, count);
  pg_put(&out, PG_UINT, PG_KEY_SINCE);
  pg_put(&out, PG_UINT, since);
  return pg_ask(message, &out, id);
}

/* ---- reading answers and notices */

/* A reader at the value of that key. 0: there is none, or the body is no map. */
static inline int pg_field(const struct pg_buffer* message, enum pg_key key, struct pg_reader* value) {
  struct pg_reader in = {message->body, message->header.body_length, 0};
  struct pg_item map;
  if (in.length > PG_BODY_MAX) return 0;
  map = pg_read(&in);
  if (map.major != PG_MAP) return 0;
  for (uint64_t i = 0; i < map.value && !in.wrong; ++i) {
    const struct pg_item name = pg_read(&in);
    if (!in.wrong && name.major == PG_UINT && name.value == (uint64_t)key) {
      *value = in;
      return 1;
    }
    pg_skip(&in);
  }
  return 0;
}
/* A number, or `otherwise`. */
static inline uint64_t pg_field_uint(const struct pg_buffer* message, enum pg_key key, uint64_t otherwise) {
  struct pg_reader in;
  struct pg_item item;
  if (!pg_field(message, key, &in)) return otherwise;
  item = pg_read(&in);
  return !in.wrong && item.major == PG_UINT ? item.value : otherwise;
}
static inline int pg_field_true(const struct pg_buffer* message, enum pg_key key) {
  struct pg_reader in;
  struct pg_item item;
  if (!pg_field(message, key, &in)) return 0;
  item = pg_read(&in);
  return !in.wrong && item.major == PG_SIMPLE && item.value == 21;
}
/* Bytes or text, within the message's body. How many; 0: none. */
static inline uint32_t pg_field_bytes(const struct pg_buffer* message, enum pg_key key, const uint8_t** bytes) {
  struct pg_reader in;
  struct pg_item item;
  *bytes = 0;
  if (!pg_field(message, key, &in)) return 0;
  item = pg_read(&in);
  if (in.wrong || (item.major != PG_BYTES && item.major != PG_TEXT)) return 0;
  *bytes = item.bytes;
  return (uint32_t)item.value;
}
/* The first right that a message brought, or PG_HANDLE_NONE. */
static inline uint32_t pg_given(const struct pg_buffer* message) { return message->header.rights[0]; }
/* What a notice of control is about: enum pg_op, 0: nothing that this header knows how to read. */
static inline uint32_t pg_notice_op(const struct pg_buffer* message) {
  return message->header.kind == PG_NOTICE ? (uint32_t)pg_field_uint(message, PG_KEY_OP, 0) : 0;
}

#ifdef __cplusplus
}
#endif
#endif /* __wasm__ */
#endif
