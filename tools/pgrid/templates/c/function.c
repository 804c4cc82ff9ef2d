// NAME: answers every request with a greeting.
#include "promisegrid.h"

static uint32_t append(uint8_t* body, uint32_t at, const char* text) {
  while (*text != 0 && at < PG_BODY_MAX) body[at++] = (uint8_t)*text++;
  return at;
}

// Called when messages wait. Drain them and return; there is nothing to block on. Globals keep their values from one
// call to the next, until a trap or a passed limit starts the function afresh.
PG_EXPORT("pg_activate") void pg_activate(void) {
  static struct pg_buffer message;  // not on the stack: a guest's stack is small
  while (pg_receive_message(&message) == 1) {
    if (message.header.kind != PG_REQUEST) continue;
    if (message.header.body_length == 0) {
      pg_log("somebody sent nothing");
      pg_decline(&message);
      continue;
    }
    // What was sent moves up by the length of the greeting.
    static uint8_t name[PG_BODY_MAX];
    const uint32_t length = message.header.body_length;
    for (uint32_t i = 0; i < length; ++i) name[i] = message.body[i];
    uint32_t at = append(message.body, 0, "hello, ");
    for (uint32_t i = 0; i < length && at < PG_BODY_MAX; ++i) message.body[at++] = name[i];
    pg_answer(&message, at);
  }
}
