/* Counts words with the help of another function: asks the first right it holds (`--grant words=wordcount`) about each half of
 * the body, and answers the sum. Asking does not wait: what comes of it is a message of its own, and other requests may
 * come in between, so each has an entry in a table, and the ids of what is asked lead back to it. When the other
 * function says no, or cannot be asked, this one passes that on. */
#include <promisegrid.h>

#define WAITING_MAX 64u

/* A request that waits for what comes of its two halves. */
struct entry {
  uint32_t reply; /* handle to answer with */
  uint32_t words;
  uint32_t open;   /* halves of which nothing has come yet; 0: the entry is free */
  uint32_t reason; /* of the first that failed; PG_REASON_NONE: none */
};

static struct entry waiting[WAITING_MAX];
static struct pg_buffer message; /* received */
static struct pg_buffer half;    /* asked */

/* Ends a request: with `length` bytes of body, or with a non-commitment. A function may give as reasons PG_DECLINED, PG_BROKEN,
 * PG_BUSY and PG_PROCESS_FAILED; senders see any other as PG_DECLINED. */
static void finish(uint32_t reply, uint32_t reason, uint32_t length) {
  message.header.kind = reason == PG_REASON_NONE ? PG_ANSWER : PG_NON_COMMITMENT;
  message.header.reason = (uint16_t)reason;
  message.header.to = reply;
  message.header.reply = PG_HANDLE_NONE;
  message.header.label = 0;
  message.header.body_length = length;
  (void)pg_send_message(&message); /* fails when nobody waits any more: the deadline has passed */
}

static void answer_or_pass_on(const struct entry* entry) {
  uint32_t length = 0;
  if (entry->reason == PG_REASON_NONE) {
    uint32_t words = entry->words;
    for (uint32_t n = words; length == 0 || n != 0; n /= 10) ++length;
    for (uint32_t i = length; i-- > 0; words /= 10) message.body[i] = (uint8_t)('0' + words % 10);
  }
  finish(entry->reply, entry->reason, length);
}

/* Where the second half begins: behind the blank that is nearest to the middle from the left, else the right. */
static uint32_t middle(void) {
  const uint32_t length = message.header.body_length;
  for (uint32_t i = length / 2; i > 0; --i)
    if (message.body[i - 1] == ' ') return i;
  for (uint32_t i = length / 2; i < length; ++i)
    if (message.body[i] == ' ') return i + 1;
  return length; /* one word: the second half is empty */
}

static void ask(struct entry* entry, uint32_t from, uint32_t to) {
  for (uint32_t i = from; i < to; ++i) half.body[i - from] = message.body[i];
  const int32_t taken = pg_request(&half, PG_HANDLE_GRANTED(0), (uint64_t)(entry - waiting), to - from);
  if (taken == 0)
    ++entry->open;
  else if (entry->reason == PG_REASON_NONE)
    entry->reason = taken == PG_ERROR_BUSY ? PG_BUSY : PG_DECLINED;
}

static void take_on(void) {
  struct entry* entry = waiting;
  while (entry != waiting + WAITING_MAX && entry->open != 0) ++entry;
  if (entry == waiting + WAITING_MAX) {
    finish(message.header.reply, PG_BUSY, 0);
    return;
  }
  *entry = (struct entry){.reply = message.header.reply};
  const uint32_t at = middle();
  ask(entry, 0, at);
  if (entry->reason == PG_REASON_NONE) ask(entry, at, message.header.body_length);
  if (entry->open == 0) answer_or_pass_on(entry);
}

/* An answer or a non-commitment. Exactly one comes for each half, so an entry is never left behind. */
static void take_in(void) {
  const uint64_t id = pg_id(&message);
  if (id >= WAITING_MAX || waiting[id].open == 0) return;
  struct entry* entry = &waiting[id];
  if (message.header.kind == PG_ANSWER) {
    uint32_t words = 0;
    for (uint32_t i = 0; i < message.header.body_length; ++i) words = words * 10 + (message.body[i] - (uint32_t)'0');
    entry->words += words;
  } else if (entry->reason == PG_REASON_NONE) {
    entry->reason = message.header.reason;
  }
  if (--entry->open == 0) answer_or_pass_on(entry);
}

PG_EXPORT("pg_activate") void pg_activate(void) {
  while (pg_receive_message(&message) == 1) {
    if (message.header.kind == PG_REQUEST)
      take_on();
    else
      take_in();
  }
}
