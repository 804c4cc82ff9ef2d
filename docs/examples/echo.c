/* Answers every request with the same body. The smallest useful function. */
#include <promisegrid.h>

static struct pg_buffer message;

PG_EXPORT("pg_activate") void pg_activate(void) {
  while (pg_receive_message(&message) == 1)
    if (message.header.kind == PG_REQUEST) pg_answer(&message, message.header.body_length);
}
