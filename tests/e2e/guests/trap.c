/* A function that stops at every message, each time in one of the ways there are: an instruction that traps, an access
 * outside its memory, a stack without end. Before, it writes to its memory and says something, as a real one would have. */
#include <promisegrid.h>

#define USED_BYTES (16 * 1024)

static volatile uint8_t used[USED_BYTES];
static struct pg_buffer message;

static volatile uint32_t deepest;

/* Something is left to do after the call, so that each turn takes a frame of its own. */
static void descend(uint32_t depth) {
  deepest = depth;
  if (depth != ~0u) descend(depth + 1);
  deepest -= depth;
}

PG_EXPORT("pg_activate") void pg_activate(void) {
  if (pg_receive_message(&message) != 1) return;
  for (uint32_t i = 0; i < USED_BYTES; i += 64) used[i] = 0xa5;
  const uint8_t n = (uint8_t)(message.header.id[0] + message.header.id[7]); /* pgrid-load counts in one of them */
  if (n % 64 == 1) descend(0);
  if (n % 8 == 2) *(volatile uint8_t*)0x7fff0000u = 1; /* far beyond any limit of memory */
  __builtin_trap();
}
