/* Counts the requests of each customer apart, and gives every customer a right of its own to come through. A function that asks
 * `open` gets one: minted by the node with a fresh label, and moved into the answer. Whatever comes through such a right is counted
 * under its label; who holds it need not say who it is, and nobody can count as somebody else. The answer is the count, in
 * decimal. */
#include <pg_control.h>

#define CUSTOMERS 256u
#define OPENING_MAX 16u

static struct pg_buffer message, question;
static uint64_t counts[CUSTOMERS + 1]; /* by label, from 1 */
static uint64_t customers;             /* labels given out */
static uint32_t opening[OPENING_MAX];  /* reply handles of those who wait for a right, by the id of the request for it; 0: free */

static int is_open(const struct pg_buffer* request) {
  static const uint8_t word[4] = {'o', 'p', 'e', 'n'};
  if (request->header.body_length != sizeof word) return 0;
  for (uint32_t i = 0; i < sizeof word; ++i)
    if (request->body[i] != word[i]) return 0;
  return 1;
}

/* Asks the node for a right. What comes of it goes to who asked us: `opened`. */
static void open_account(void) {
  const struct pg_limits limits = {.can = PG_CAN_SEND | PG_CAN_CARRY, .rate = 1000};
  uint32_t entry = 0;
  while (entry < OPENING_MAX && opening[entry] != PG_HANDLE_NONE) ++entry;
  if (entry == OPENING_MAX || customers == CUSTOMERS || pg_mint(&question, entry, customers + 1, &limits) != 0) {
    pg_decline(&message);
    return;
  }
  ++customers;
  opening[entry] = message.header.reply;
}

/* The right is there, or control says why not. */
static void opened(void) {
  const uint64_t entry = pg_id(&message);
  const uint32_t right = pg_given(&message);
  if (entry >= OPENING_MAX || opening[entry] == PG_HANDLE_NONE) return;
  message.header.reply = opening[entry];
  opening[entry] = PG_HANDLE_NONE;
  if (message.header.kind != PG_ANSWER) {
    pg_decline(&message);
    return;
  }
  pg_make_answer(&message, 0);
  pg_carry(&message, right, PG_MOVE); /* it is the customer's from now on */
  pg_send_message(&message);
}

static uint32_t to_decimal(uint64_t n, uint8_t* text) {
  uint8_t digits[20]; /* 2^64 has 20 */
  uint32_t nb_digits = 0;
  do digits[nb_digits++] = (uint8_t)('0' + n % 10);
  while ((n /= 10) != 0);
  for (uint32_t i = 0; i < nb_digits; ++i) text[i] = digits[nb_digits - 1 - i];
  return nb_digits;
}

PG_EXPORT("pg_activate") void pg_activate(void) {
  while (pg_receive_message(&message) == 1) {
    if (message.header.kind == PG_ANSWER || message.header.kind == PG_NON_COMMITMENT)
      opened();
    else if (message.header.kind != PG_REQUEST)
      continue;
    else if (is_open(&message))
      open_account();
    else if (message.header.label == 0 || message.header.label > customers)
      pg_decline(&message); /* not through a right that was opened here */
    else
      pg_answer(&message, to_decimal(++counts[message.header.label], message.body));
  }
}
