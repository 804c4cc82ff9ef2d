/* A function that takes more than its share, in the way that the first byte of a message says, for tests:
 *
 *   r  recurse for ever                  g  grow its memory until it gets no more; answer with its pages
 *   G  the same, then write beyond       m  copy half of all its memory to the other half, for ever
 *   f  write log lines for ever          n  write as many as bytes 1 to 4 say; answer with how many were taken
 *   R  send requests through its first granted handle for ever
 *   anything else: answer with the same body
 *
 * Numbers are 4 bytes, little-endian.
 */
#include "tests/e2e/guests/numbers.h"

#define PAGE_BYTES 65536u

static struct pg_buffer message, request;
static volatile uint32_t deepest;

/* Something is left to do after the call, so that each turn takes a frame of its own. */
static void descend(uint32_t depth) {
  deepest = depth;
  if (depth != ~0u) descend(depth + 1);
  deepest -= depth;
}

static uint32_t grow(void) {
  while (__builtin_wasm_memory_grow(0, 1) != (__SIZE_TYPE__)-1) {
  }
  return (uint32_t)__builtin_wasm_memory_size(0);
}

/* One memory.copy for each call: an instruction that takes as long as it is told to. */
__attribute__((target("bulk-memory"), noinline)) static void copy(uint32_t to, uint32_t from, uint32_t length) {
  __builtin_memcpy((void*)to, (const void*)from, length);
}

PG_EXPORT("pg_activate") void pg_activate(void) {
  while (pg_receive_message(&message) == 1) {
    if (message.header.kind != PG_REQUEST) continue;
    switch (message.header.body_length ? message.body[0] : 0) {
      case 'r': descend(0); break;
      case 'g': answer_number(&message, grow()); break;
      case 'G': *(volatile uint8_t*)(grow() * PAGE_BYTES) = 1; break;
      case 'm': {
        const uint32_t half = grow() * PAGE_BYTES / 2;
        for (;;) copy(half, 0, half);
      }
      case 'f':
        for (;;) pg_log("a line that nobody asked for");
      case 'R':
        for (uint64_t id = 0;; ++id) pg_request(&request, PG_HANDLE_GRANTED(0), id, 64);
      case 'n': {
        uint32_t taken = 0;
        for (uint32_t left = number_in(&message); left != 0; --left) taken += pg_log("one of many lines") == 0;
        answer_number(&message, taken);
        break;
      }
      default: pg_answer(&message, message.header.body_length);
    }
  }
}
