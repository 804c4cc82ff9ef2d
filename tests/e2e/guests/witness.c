/* A function that tells what it sees of a message: its label (8 bytes), then the time that was left of its deadline in
 * microseconds (4 bytes), both little-endian. A message that begins with 's' is never answered. For tests. */
#include <promisegrid.h>

static struct pg_buffer message;

static void put(uint32_t at, uint64_t value, uint32_t bytes) {
  for (uint32_t i = 0; i < bytes; ++i) message.body[at + i] = (uint8_t)(value >> (8 * i));
}

PG_EXPORT("pg_activate") void pg_activate(void) {
  while (pg_receive_message(&message) == 1) {
    if (message.header.kind != PG_REQUEST) continue;
    if (message.header.body_length != 0 && message.body[0] == 's') continue;
    put(0, message.header.label, 8);
    put(8, message.header.deadline_us, 4);
    pg_answer(&message, 12);
  }
}
