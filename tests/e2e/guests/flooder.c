/* A function that sends as many requests as are taken, through its first granted handle, and answers those that come. For
 * tests: two of them flood each other.
 *
 *   'g', count   4 bytes, little-endian: so many more are to be sent; answered at once with the same body
 *   'r'          answered with struct report, below
 *   others       answered with the same body
 */
#include <promisegrid.h>

#define REASONS 11
#define AT_ONCE 64u           /* sends to a message that is received: each has a time limit of its own */
#define IDS_MAX (1u << 16)    /* of requests that wait: ids are numbers modulo this */

/* Little-endian, no padding. taken = answers + refused + those that wait. */
struct report {
  uint32_t to_send;           /* still */
  uint32_t taken;             /* by send */
  uint32_t busy;              /* refused by send: PG_ERROR_BUSY */
  uint32_t failed;            /* refused by send for another reason */
  uint32_t answers;
  uint32_t refused[REASONS];  /* by reason */
  uint32_t strange;           /* what came for nothing that waits: answered twice, or never asked */
  uint32_t requests;          /* received from others, and answered */
  uint32_t too_late;          /* received from others, and nobody waited for the answer any more */
};

static struct report report;
static struct pg_buffer message, flood;
static uint8_t waits[IDS_MAX / 8];

static void send_more(void) {
  for (uint32_t i = 0; i < AT_ONCE && report.to_send != 0; ++i) {
    const uint32_t id = report.taken % IDS_MAX;
    const uint8_t bit = (uint8_t)(1u << id % 8);
    if (waits[id / 8] & bit) return; /* as many wait as there are ids */
    flood.body[0] = 'f';
    const int32_t failed = pg_request(&flood, PG_HANDLE_GRANTED(0), id, 64);
    if (failed != 0) {
      ++*(failed == PG_ERROR_BUSY ? &report.busy : &report.failed);
      return;
    }
    waits[id / 8] |= bit;
    ++report.taken;
    --report.to_send;
  }
}

static void came_back(void) {
  const uint64_t id = pg_id(&message);
  const uint8_t bit = (uint8_t)(1u << id % 8);
  if (id >= IDS_MAX || !(waits[id / 8] & bit)) {
    ++report.strange;
    return;
  }
  waits[id / 8] &= (uint8_t)~bit;
  if (message.header.kind == PG_ANSWER)
    ++report.answers;
  else
    ++report.refused[message.header.reason < REASONS ? message.header.reason : 0];
}

static void asked(void) {
  const uint8_t what = message.header.body_length ? message.body[0] : 0;
  uint32_t length = message.header.body_length;
  if (what == 'g' && length == 5) {
    for (uint32_t i = 0; i < 4; ++i) report.to_send += (uint32_t)message.body[1 + i] << (8 * i);
  } else if (what == 'r' && length == 1) {
    const uint8_t* bytes = (const uint8_t*)&report;
    for (uint32_t i = 0; i < sizeof report; ++i) message.body[i] = bytes[i];
    length = sizeof report;
  } else {
    ++report.requests;
  }
  if (pg_answer(&message, length) != 0) ++report.too_late;
}

PG_EXPORT("pg_activate") void pg_activate(void) {
  while (pg_receive_message(&message) == 1) {
    if (message.header.kind == PG_REQUEST)
      asked();
    else
      came_back();
    send_more();
  }
}
