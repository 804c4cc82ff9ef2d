/* A function that says what it must not say to the node, in the way that the first byte of a message says, for tests:
 *
 *   2  answer twice                      q  answer with what the node said to the last second answer
 *   k  keep: answer nothing              K  answer what was kept, then this with what the node said to that
 *   z  work for long, then answer        w  wild pointers, lengths and headers: answer with how many got a wrong error
 *   h  guess handles: all generations of the in-flight entry that bytes 1 to 4 say, and the small ones, to send through and
 *      to pass on; answer with how many the node took
 *   anything else: answer with the same body
 *
 * Numbers are 4 bytes, little-endian. Before each message it tries to receive to places that it does not have.
 */
#include "tests/e2e/guests/numbers.h"

#define GENERATIONS (1u << 14) /* bits 17 to 30 of a reply handle */
#define WORK 20000000u         /* turns of a loop: some 20 ms at least */

static struct pg_buffer message;
static struct pg_buffer forged;
static uint32_t kept;
static int32_t second;
static uint32_t wrong; /* wild calls that did not get the error they should */

static uint32_t memory_end(void) { return (uint32_t)__builtin_wasm_memory_size(0) * 65536u; }

static void expect(int32_t got, int32_t wanted) { wrong += got != wanted; }

/* A message waits. None of these may take it. */
static void receive_wildly(void) {
  expect(pg_receive_raw((void*)0xffffffffu, 0xffffffffu), PG_ERROR_POINTER);
  expect(pg_receive_raw((void*)0xfffffff0u, PG_MESSAGE_MAX), PG_ERROR_POINTER);
  expect(pg_receive_raw((void*)memory_end(), PG_MESSAGE_MAX), PG_ERROR_POINTER);
  expect(pg_receive_raw((void*)(memory_end() - 8), PG_MESSAGE_MAX), PG_ERROR_POINTER);
  expect(pg_receive_raw(&message, 0), PG_ERROR_LENGTH);
  expect(pg_receive_raw(&message, 63), PG_ERROR_LENGTH);
}

/* A good log line, but for what the caller changes. */
static void forge(void) {
  pg_zero_(&forged.header, sizeof forged.header);
  forged.header.version = PG_ABI_VERSION;
  forged.header.kind = PG_NOTICE;
  forged.header.to = PG_HANDLE_LOG;
}

static void send_wildly(void) {
  forge();
  expect(pg_send_raw(&forged, 64), 0);
  const uint32_t places[] = {0xffffffffu, 0xffffffc0u, 0x80000000u, memory_end(), memory_end() - 63};
  for (uint32_t i = 0; i < sizeof places / sizeof *places; ++i)
    expect(pg_send_raw((const void*)places[i], 64), PG_ERROR_POINTER);
  expect(pg_send_raw((const void*)(memory_end() - 64), PG_MESSAGE_MAX), PG_ERROR_POINTER);
  const uint32_t lengths[] = {0, 1, 63, PG_MESSAGE_MAX + 1, 0x80000000u, 0xffffffffu};
  for (uint32_t i = 0; i < sizeof lengths / sizeof *lengths; ++i)
    expect(pg_send_raw(&forged, lengths[i]), PG_ERROR_LENGTH);
  const uint32_t bodies[] = {1, PG_BODY_MAX, PG_BODY_MAX + 1, 0xffffffc0u, 0xffffffffu};
  for (uint32_t i = 0; i < sizeof bodies / sizeof *bodies; ++i) {
    forge();
    forged.header.body_length = bodies[i];
    expect(pg_send_raw(&forged, 64), PG_ERROR_LENGTH);
  }
  forge(), forged.header.version = 0, expect(pg_send_raw(&forged, 64), PG_ERROR_MESSAGE);
  forge(), forged.header.version = 2, expect(pg_send_raw(&forged, 64), PG_ERROR_MESSAGE);
  forge(), forged.header.kind = 4, expect(pg_send_raw(&forged, 64), PG_ERROR_MESSAGE);
  forge(), forged.header.kind = 255, expect(pg_send_raw(&forged, 64), PG_ERROR_MESSAGE);
  forge(), forged.header.kind = PG_REQUEST, expect(pg_send_raw(&forged, 64), PG_ERROR_MESSAGE);
  forge(), forged.header.reason = 11, expect(pg_send_raw(&forged, 64), PG_ERROR_MESSAGE);
  forge(), forged.header.reason = 65535, expect(pg_send_raw(&forged, 64), PG_ERROR_MESSAGE);
  forge(), forged.header.label = 1, expect(pg_send_raw(&forged, 64), PG_ERROR_MESSAGE);
  forge(), forged.header.reserved[1] = 1, expect(pg_send_raw(&forged, 64), PG_ERROR_MESSAGE);
  forge(), forged.header.rights[3] = PG_HANDLE_SELF, expect(pg_send_raw(&forged, 64), 0); /* no mode: nothing is carried */
  forge(), forged.header.rights_mode[3] = PG_COPY, expect(pg_send_raw(&forged, 64), PG_ERROR_MESSAGE); /* a gap */
  forge(), forged.header.rights_mode[0] = 3, expect(pg_send_raw(&forged, 64), PG_ERROR_MESSAGE);
  forge(), forged.header.rights_mode[0] = PG_COPY, expect(pg_send_raw(&forged, 64), PG_ERROR_HANDLE); /* handle 0 */
  /* Not an answer: another reason than an answer has, none where there must be one. */
  forge(), forged.header.to = message.header.reply, expect(pg_send_raw(&forged, 64), PG_ERROR_MESSAGE);
  forged.header.kind = PG_ANSWER, forged.header.reason = PG_BUSY, expect(pg_send_raw(&forged, 64), PG_ERROR_MESSAGE);
  forged.header.kind = PG_NON_COMMITMENT, forged.header.reason = 0, expect(pg_send_raw(&forged, 64), PG_ERROR_MESSAGE);
}

static uint32_t guess(uint32_t entry) {
  uint32_t taken = 0;
  forge();
  for (uint32_t kind = 0; kind < 4; ++kind) {
    forged.header.kind = (uint8_t)kind;
    for (uint32_t handle = 0; handle < 2 * PG_HANDLES_MAX; ++handle) {
      if (handle == PG_HANDLE_LOG || (handle == PG_HANDLE_CONTROL && kind == PG_REQUEST)) continue; /* those are everybody's */
      forged.header.to = handle;
      taken += pg_send_raw(&forged, 64) == 0;
    }
  }
  /* Passing on what it does not hold: to control, and in an answer to the message in hand. */
  for (uint32_t handle = 0; handle < 2 * PG_HANDLES_MAX; ++handle)
    for (uint32_t mode = 0; mode < 4; ++mode) {
      forge();
      if (mode / 2 == 0) {
        forged.header.kind = PG_REQUEST;
        forged.header.to = PG_HANDLE_CONTROL;
      } else {
        forged.header.kind = PG_ANSWER;
        forged.header.to = message.header.reply;
      }
      forged.header.rights[0] = handle;
      forged.header.rights_mode[0] = mode % 2 == 0 ? PG_COPY : PG_MOVE;
      taken += pg_send_raw(&forged, 64) == 0;
    }
  forge();
  forged.header.kind = PG_ANSWER;
  for (uint32_t generation = 0; generation < GENERATIONS; ++generation) {
    forged.header.to = 1u << 31 | generation << 17 | (entry & ((1u << 17) - 1));
    if (forged.header.to == message.header.reply) continue; /* that one is its own */
    taken += pg_send_raw(&forged, 64) == 0;
  }
  return taken;
}

PG_EXPORT("pg_activate") void pg_activate(void) {
  receive_wildly();
  while (pg_receive_message(&message) == 1) {
    if (message.header.kind != PG_REQUEST) continue;
    const uint32_t reply = message.header.reply;
    switch (message.header.body_length ? message.body[0] : 0) {
      case '2':
        pg_answer(&message, message.header.body_length);
        message.header.reply = reply;
        second = pg_answer(&message, message.header.body_length);
        break;
      case 'q': answer_number(&message, (uint32_t)second); break;
      case 'k': kept = reply; break;
      case 'K': {
        forge();
        forged.header.kind = PG_ANSWER;
        forged.header.to = kept;
        answer_number(&message, (uint32_t)pg_send_raw(&forged, 64));
        break;
      }
      case 'z':
        for (volatile uint32_t i = 0; i < WORK; ++i) {
        }
        pg_answer(&message, message.header.body_length);
        break;
      case 'w':
        send_wildly();
        answer_number(&message, wrong);
        break;
      case 'h': answer_number(&message, guess(number_in(&message))); break;
      default: pg_answer(&message, message.header.body_length);
    }
  }
}
