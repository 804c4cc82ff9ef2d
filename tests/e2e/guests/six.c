/* A function that knows the six calls of pg_six.h alone (and how a right is minted, for there must be one to grant), for tests.
 * The first byte of a request says what to do; the answer is what came of it: a kind and a reason, one byte each, then the body.
 *
 *   s TEXT  send TEXT through the first granted handle        g NAME  grant the minted right to NAME
 *   m       mint a right                                       v       revoke the minted right
 *   a       allocate, fill, free and allocate again; answered with four numbers of 4 bytes, little-endian: blocks that memory
 *           had room for, blocks that were not aligned or not as they were left, blocks of the second time, whether a block
 *           larger than all memory was refused
 *   f       free a block twice                                 o       free what no call gave
 */
#include <pg_six.h>

#define BLOCKS_MAX 64u
#define STEP 16u /* bytes between two that are written: a whole memory is filled well within the time for one message */

static struct pg_buffer in;
static uint32_t reply;  /* of the request in hand, while something is on its way */
static uint32_t minted; /* handle */
static volatile uint8_t* blocks[BLOCKS_MAX];

static uint32_t size_of(uint32_t i) { return 1u << (4 + i % 13); } /* 16 bytes to 64 KiB */

/* As many blocks as there is room for. */
static uint32_t allocate_all(void) {
  uint32_t count = 0;
  while (count < BLOCKS_MAX && (blocks[count] = pg_allocate(size_of(count))) != 0) ++count;
  return count;
}
static uint32_t count_wrong(uint32_t count) {
  uint32_t wrong = 0;
  for (uint32_t i = 0; i < count; ++i)
    for (uint32_t at = 0; at < size_of(i); at += STEP) blocks[i][at] = (uint8_t)(i + at);
  for (uint32_t i = 0; i < count; ++i) {
    int good = ((uint32_t)(uintptr_t)blocks[i] & 15u) == 0;
    for (uint32_t at = 0; at < size_of(i); at += STEP) good &= blocks[i][at] == (uint8_t)(i + at);
    wrong += !good;
  }
  return wrong;
}
static void try_memory(void) {
  const uint32_t first = allocate_all();
  const uint32_t wrong = count_wrong(first);
  for (uint32_t i = 0; i < first; ++i) pg_free((void*)blocks[i]);
  pg_free(0);
  const uint32_t numbers[4] = {first, wrong, allocate_all(), pg_allocate(0xfffffff0u) == 0};
  for (uint32_t i = 0; i < 16; ++i) in.body[i] = (uint8_t)(numbers[i / 4] >> (8 * (i % 4)));
  pg_answer(&in, 16);
}

static void command(void) {
  const uint8_t* const rest = in.body + 1;
  int64_t id = 0;
  in.body[in.header.body_length] = 0; /* the end of a name; requests of the test are short */
  switch (in.body[0]) {
    case 's': id = pg_send(PG_HANDLE_GRANTED(0), rest, in.header.body_length - 1); break;
    case 'm': id = pg_mint(&pg_six_out_, ++pg_six_id_, 7, 0) == 0 ? (int64_t)pg_six_id_ : -1; break;
    case 'g': id = pg_grant_to((const char*)rest, minted); break;
    case 'v': id = pg_revoke_all(minted); break;
    case 'a': try_memory(); return;
    case 'f': {
      void* const block = pg_allocate(100);
      pg_free(block);
      pg_free(block);
      break;
    }
    case 'o': pg_free(&in.body[64]); break;
  }
  if (id > 0)
    reply = in.header.reply;
  else
    pg_decline(&in);
}

/* What came of a call goes to whoever asked for it. */
static void finish(void) {
  const uint8_t what[2] = {in.header.kind, (uint8_t)in.header.reason};
  if (reply == PG_HANDLE_NONE || pg_id(&in) != pg_six_id_) return;
  if (pg_given(&in) != PG_HANDLE_NONE) minted = pg_given(&in);
  for (uint32_t i = in.header.body_length; i != 0; --i) in.body[i + 1] = in.body[i - 1];
  in.body[0] = what[0];
  in.body[1] = what[1];
  in.header.reply = reply;
  reply = PG_HANDLE_NONE;
  pg_answer(&in, in.header.body_length + 2);
}

PG_EXPORT("pg_activate") void pg_activate(void) {
  while (pg_receive(&in) == 1) {
    if (in.header.kind == PG_REQUEST && in.header.body_length >= 1 && in.header.body_length < 256)
      command();
    else if (in.header.kind != PG_NOTICE && in.header.kind != PG_REQUEST)
      finish();
    else if (in.header.kind == PG_REQUEST)
      pg_decline(&in);
  }
}
