/* A function that does not run unless it can say so: its pg_init traps when there is no room for its log line. The message
 * `f` fills that room and traps, so that the next pg_init fails, too; anything else is answered with the same body.
 */
#include <promisegrid.h>

static struct pg_buffer message;

PG_EXPORT("pg_init") void pg_init(void) {
  if (pg_log("begins") != 0) __builtin_trap();
}

PG_EXPORT("pg_activate") void pg_activate(void) {
  while (pg_receive_message(&message) == 1) {
    if (message.header.kind != PG_REQUEST) continue;
    if (message.header.body_length == 1 && message.body[0] == 'f') {
      for (uint32_t refused = 0; refused < 1000;) refused += pg_log("a line that nobody asked for") != 0;
      __builtin_trap();
    }
    pg_answer(&message, message.header.body_length);
  }
}
