/* A function that does what the first byte of a message says: the ways a guest can fail, for tests.
 *
 *   t  trap               l  loop for ever          s  stay silent: read, answer nothing
 *   d  decline            w  write a pattern all over its memory, then answer
 *   p  peek: answer with the number of bytes that are not zero, as 4 bytes, little-endian
 *   W  write, then trap   anything else: answer with the same body
 */
#include <promisegrid.h>

#define SECRET_BYTES (256 * 1024)

static volatile uint8_t secret[SECRET_BYTES];
static struct pg_buffer message;

static void write_secret(void) {
  for (uint32_t i = 0; i < SECRET_BYTES; ++i) secret[i] = 0xa5;
}

static uint32_t peek(void) {
  uint32_t found = 0;
  for (uint32_t i = 0; i < SECRET_BYTES; ++i) found += secret[i] != 0;
  return found;
}

PG_EXPORT("pg_activate") void pg_activate(void) {
  while (pg_receive_message(&message) == 1) {
    if (message.header.kind != PG_REQUEST) continue;
    const uint8_t mood = message.header.body_length ? message.body[0] : 0;
    switch (mood) {
      case 't': __builtin_trap();
      case 'l':
        for (volatile uint32_t i = 0;; ++i) {
        }
      case 's': break;
      case 'd': pg_decline(&message); break;
      case 'W': write_secret(); __builtin_trap();
      case 'w':
        write_secret();
        pg_answer(&message, message.header.body_length);
        break;
      case 'p': {
        const uint32_t found = peek();
        for (uint32_t i = 0; i < 4; ++i) message.body[i] = (uint8_t)(found >> (8 * i));
        pg_answer(&message, 4);
        break;
      }
      default: pg_answer(&message, message.header.body_length);
    }
  }
}
