/* A function that does what the request says, so that one capture file can ask for any mixture. The body begins with two
 * numbers of 4 bytes, little-endian: how many bytes the answer has, and, unless it is 0, after how many requests (since this
 * instance began) the function loops until it is stopped. */
#include <promisegrid.h>

static struct pg_buffer message;
static uint32_t requests;

static uint32_t number_at(uint32_t at) {
  return (uint32_t)message.body[at] | (uint32_t)message.body[at + 1] << 8 | (uint32_t)message.body[at + 2] << 16 |
         (uint32_t)message.body[at + 3] << 24;
}

PG_EXPORT("pg_activate") void pg_activate(void) {
  while (pg_receive_message(&message) == 1) {
    if (message.header.kind != PG_REQUEST || message.header.body_length < 8) continue;
    const uint32_t answer_bytes = number_at(0);
    const uint32_t loop_after = number_at(4);
    ++requests;
    if (loop_after != 0 && requests >= loop_after)
      for (volatile uint32_t forever = 1; forever;) {
      }
    pg_answer(&message, answer_bytes < PG_BODY_MAX ? answer_bytes : PG_BODY_MAX);
  }
}
