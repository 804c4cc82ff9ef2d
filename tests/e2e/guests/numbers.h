/* Numbers in bodies: of a test's question behind its first byte, and of the answer. Four bytes, little-endian. */
#pragma once

#include <promisegrid.h>

static uint32_t number_in(const struct pg_buffer* message) {
  uint32_t value = 0;
  for (uint32_t i = 0; i < 4; ++i) value |= (uint32_t)message->body[1 + i] << (8 * i);
  return value;
}

static void answer_number(struct pg_buffer* message, uint32_t value) {
  for (uint32_t i = 0; i < 4; ++i) message->body[i] = (uint8_t)(value >> (8 * i));
  pg_answer(message, 4);
}
