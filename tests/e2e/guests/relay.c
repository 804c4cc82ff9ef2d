/* A function that passes requests on through its first granted handle, and answers with what comes back. For tests.
 *
 *   "?report"   answered by this function itself: struct report, below
 *   others      passed on as they are
 *
 * A non-commitment that comes back is passed on with its reason. The node lets a function's "no" say declined, broken, busy
 * and process_failed; any other reason reaches the sender as declined. So this function counts what it saw.
 */
#include <promisegrid.h>

#define WAITING_MAX 4096u
#define REASONS 11

/* What became of the requests that were passed on. Little-endian, no padding. */
struct report {
  uint32_t taken;             /* by send */
  uint32_t busy;              /* refused by send, PG_ERROR_BUSY: the asker is told busy */
  uint32_t no_handle;         /* refused by send, PG_ERROR_HANDLE: the asker is told declined */
  uint32_t other;             /* refused by send for another reason */
  uint32_t answers;
  uint32_t refused[REASONS];  /* by reason */
  uint32_t strange;           /* what came for nothing that waits: answered twice, or never asked */
  uint32_t too_late;          /* came back when its asker did not wait any more */
};

static struct report report;
static struct pg_buffer message;

/* Requests that wait for what comes of them. An id that is sent on names the entry, and which use of it. */
static struct {
  uint32_t reply; /* handle to answer with; PG_HANDLE_NONE: unused */
  uint32_t use;
} waiting[WAITING_MAX];
static uint32_t unused[WAITING_MAX], unused_count, is_prepared;

static void prepare(void) {
  for (uint32_t i = 0; i < WAITING_MAX; ++i) unused[i] = WAITING_MAX - 1 - i;
  unused_count = WAITING_MAX;
  is_prepared = 1;
}

static int asks_for_report(void) {
  static const char text[] = "?report";
  for (uint32_t i = 0; i < sizeof text - 1; ++i)
    if (i >= message.header.body_length || message.body[i] != (uint8_t)text[i]) return 0;
  return message.header.body_length == sizeof text - 1;
}

static void tell_report(void) {
  const uint8_t* bytes = (const uint8_t*)&report;
  for (uint32_t i = 0; i < sizeof report; ++i) message.body[i] = bytes[i];
  pg_answer(&message, sizeof report);
}

/* Answers with the kind, reason and body that `message` has. */
static void answer_to(uint32_t reply) {
  message.header.to = reply;
  message.header.reply = PG_HANDLE_NONE;
  message.header.label = 0;
  message.header.deadline_us = 0;
  if (pg_send_message(&message) != 0) ++report.too_late;
}

static void pass_on(void) {
  const uint32_t reply = message.header.reply;
  int32_t failed = PG_ERROR_BUSY;
  if (unused_count != 0) {
    const uint32_t entry = unused[unused_count - 1];
    failed = pg_request(&message, PG_HANDLE_GRANTED(0), (uint64_t)waiting[entry].use << 32 | entry, message.header.body_length);
    if (failed == 0) {
      ++report.taken;
      --unused_count;
      waiting[entry].reply = reply;
      return;
    }
  }
  ++*(failed == PG_ERROR_BUSY ? &report.busy : failed == PG_ERROR_HANDLE ? &report.no_handle : &report.other);
  message.header.kind = PG_NON_COMMITMENT;
  message.header.reason = failed == PG_ERROR_BUSY ? PG_BUSY : PG_DECLINED;
  message.header.body_length = 0;
  answer_to(reply);
}

static void give_back(void) {
  const uint64_t id = pg_id(&message);
  const uint32_t entry = (uint32_t)id, use = (uint32_t)(id >> 32);
  if (entry >= WAITING_MAX || waiting[entry].reply == PG_HANDLE_NONE || waiting[entry].use != use) {
    ++report.strange;
    return;
  }
  if (message.header.kind == PG_ANSWER)
    ++report.answers;
  else
    ++report.refused[message.header.reason < REASONS ? message.header.reason : 0];
  answer_to(waiting[entry].reply);
  waiting[entry].reply = PG_HANDLE_NONE;
  ++waiting[entry].use;
  unused[unused_count++] = entry;
}

PG_EXPORT("pg_activate") void pg_activate(void) {
  if (!is_prepared) prepare();
  while (pg_receive_message(&message) == 1) {
    if (message.header.kind != PG_REQUEST)
      give_back();
    else if (asks_for_report())
      tell_report();
    else
      pass_on();
  }
}
