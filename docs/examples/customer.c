/* A customer of accounts.c, to which its first grant leads. The first time that it is called it opens an account; then it sends
 * every call through the right that it got, and answers with what comes back. When the right is dead (accounts was restarted: what
 * its labels meant is forgotten) it opens another one at the next call. */
#include <pg_control.h>

#define WAITING_MAX 32u

static struct pg_buffer message, gone;
static uint32_t account;               /* handle of the right; PG_HANDLE_NONE: not opened yet */
static uint32_t waiting[WAITING_MAX];  /* reply handles of callers, by the id of the request that was made for them; 0: free */
static uint8_t opens[WAITING_MAX];     /* 1: that request was for an account */

/* A handle that is of no use any more makes room for others. What control says to that has an id that nobody waits for. */
static void drop(uint32_t right) { pg_drop(&gone, WAITING_MAX, right); }

/* Puts the caller into a free entry. WAITING_MAX: there is none. */
static uint32_t entry_for(uint32_t caller) {
  uint32_t entry = 0;
  while (entry < WAITING_MAX && waiting[entry] != PG_HANDLE_NONE) ++entry;
  if (entry != WAITING_MAX) waiting[entry] = caller;
  return entry;
}

/* Asks for the caller: for an account first, then through it. */
static void ask(uint32_t caller) {
  static const uint8_t word[4] = {'o', 'p', 'e', 'n'};
  const uint32_t entry = entry_for(caller);
  int32_t failed = PG_ERROR_BUSY;
  if (entry != WAITING_MAX) {
    opens[entry] = account == PG_HANDLE_NONE;
    for (uint32_t i = 0; i < sizeof word; ++i) message.body[i] = word[i];
    failed = opens[entry] ? pg_request(&message, PG_HANDLE_GRANTED(0), entry, sizeof word) : pg_request(&message, account, entry, 0);
  }
  if (failed == 0) return;
  if (entry != WAITING_MAX) waiting[entry] = PG_HANDLE_NONE;
  message.header.reply = caller;
  pg_decline(&message);
}

PG_EXPORT("pg_activate") void pg_activate(void) {
  while (pg_receive_message(&message) == 1) {
    const uint64_t entry = pg_id(&message);
    uint32_t caller;
    if (message.header.kind == PG_REQUEST) {
      ask(message.header.reply);
      continue;
    }
    if (message.header.kind == PG_NOTICE || entry >= WAITING_MAX || waiting[entry] == PG_HANDLE_NONE) continue;
    caller = waiting[entry];
    waiting[entry] = PG_HANDLE_NONE;
    if (message.header.kind == PG_ANSWER && opens[entry]) {
      const uint32_t right = pg_given(&message);
      if (account == PG_HANDLE_NONE)
        account = right;
      else
        drop(right); /* two calls came before the first account was there */
      ask(caller);
      continue;
    }
    if (message.header.reason == PG_NO_SUCH_RIGHT && account != PG_HANDLE_NONE) {
      drop(account);
      account = PG_HANDLE_NONE;
    }
    message.header.reply = caller;
    if (message.header.kind == PG_ANSWER)
      pg_answer(&message, message.header.body_length);
    else
      pg_decline(&message);
  }
}
