/* Counts the requests it has seen, apart for each label: a function that keeps state between messages, and that tells its
 * callers apart by the right they came through. The answer is the caller's count, in decimal. */
#include <promisegrid.h>

#define CALLERS 256

static struct pg_buffer message;
static struct {
  uint64_t label;
  uint64_t count; /* 0: free */
} callers[CALLERS];

/* This caller's place: linear search, because 256 is few. NULL when all places are taken. */
static uint64_t* count_of(uint64_t label) {
  for (uint32_t i = 0; i < CALLERS; ++i) {
    if (callers[i].count == 0) callers[i].label = label;
    if (callers[i].label == label) return &callers[i].count;
  }
  return 0;
}

/* Writes n in decimal and returns how many characters that took. */
static uint32_t to_decimal(uint64_t n, uint8_t* text) {
  uint8_t digits[20]; /* 2^64 has 20 */
  uint32_t nb_digits = 0;
  do digits[nb_digits++] = (uint8_t)('0' + n % 10);
  while ((n /= 10) != 0);
  for (uint32_t i = 0; i < nb_digits; ++i) text[i] = digits[nb_digits - 1 - i];
  return nb_digits;
}

PG_EXPORT("pg_init") void pg_init(void) { pg_log("counter: starting from zero"); }

PG_EXPORT("pg_activate") void pg_activate(void) {
  while (pg_receive_message(&message) == 1) {
    if (message.header.kind != PG_REQUEST) continue;
    uint64_t* count = count_of(message.header.label);
    if (count == 0)
      pg_decline(&message);
    else
      pg_answer(&message, to_decimal(++*count, message.body));
  }
}
