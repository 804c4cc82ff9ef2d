/* A function that does with rights what a test tells it: steered.py writes its commands and reads its answers. For tests.
 *
 * A request that begins with '!' is a command; its answer comes when what it started has come to an end, and is always a struct
 * report, then the body that came. Every other request is a peer's: the rights that it brings are kept, and it is answered with
 * a struct report of what was seen of it. A peer's request that begins with '?' asks for rights: behind it are four handles and
 * four modes, which the answer carries.
 *
 * Notices are kept, the last 16 of them: "!l" gives them out, oldest first.
 */
#include <pg_control.h>

#define WAITING_MAX 64u
#define NOTICES_MAX 16u

/* What came of something, or what was seen of a message. Little-endian, no padding. */
struct report {
  uint8_t kind;
  uint8_t reserved;
  uint16_t reason;
  int32_t error; /* of send: then nothing else means anything */
  uint32_t rights[4];
  uint64_t label;
};

static struct pg_buffer in, out;
static uint32_t waiting[WAITING_MAX]; /* handle to answer with, by the id of what was asked; 0: unused */
static struct {
  uint32_t rights[4];
  uint32_t length;
  uint8_t body[56];
} notices[NOTICES_MAX];
static uint32_t nb_notices;

static uint64_t number(const uint8_t* bytes, uint32_t length) {
  uint64_t value = 0;
  for (uint32_t i = 0; i < length; ++i) value |= (uint64_t)bytes[i] << (8 * i);
  return value;
}
static void copy(void* to, const void* from, uint32_t length) {
  for (uint32_t i = 0; i < length; ++i) ((volatile uint8_t*)to)[i] = ((const uint8_t*)from)[i];
}

/* Answers `reply` with what is known of `in`, whose body follows. */
static void answer_report(uint32_t reply, int32_t error) {
  struct report report = {in.header.kind, 0, in.header.reason, error, {0, 0, 0, 0}, in.header.label};
  const uint32_t length = error != 0 ? 0 : in.header.body_length;
  const uint32_t room = PG_BODY_MAX - sizeof report;
  for (uint32_t i = 0; i < 4; ++i) report.rights[i] = in.header.rights[i];
  pg_make_request(&out, reply, 0, sizeof report + (length < room ? length : room));
  out.header.kind = PG_ANSWER;
  copy(out.body, &report, sizeof report);
  copy(out.body + sizeof report, in.body, length < room ? length : room);
  (void)pg_send_message(&out);
}

/* The texts of a command stand behind each other, each ending with NUL; the body has one more NUL behind its end. */
static const char* text_at(uint32_t at) { return (const char*)in.body + (at < in.header.body_length ? at : in.header.body_length); }

/* `in.body`: '!', what, then a handle (4), label or number (8), can (1), rate (4), expires_ms (8), text. */
static int32_t start(uint64_t id) {
  const uint32_t handle = (uint32_t)number(in.body + 2, 4);
  const uint64_t label = number(in.body + 6, 8);
  const struct pg_limits limits = {in.body[14], (uint32_t)number(in.body + 15, 4), 0, 0, 0, 0, number(in.body + 19, 8)};
  const char* const text = text_at(27);
  const char* const tags[] = {"test"};
  switch (in.body[1]) {
    case 'm': return pg_mint(&out, id, label, &limits);
    case 'd': return pg_derive(&out, id, handle, &limits);
    case 'D': return pg_derive_labelled(&out, id, handle, label, &limits);
    case 'g': return pg_grant(&out, id, handle, text, &limits);
    case 't': return pg_attenuate(&out, id, handle, &limits);
    case 'r': return pg_revoke(&out, id, handle);
    case 'x': return pg_drop(&out, id, handle);
    case 'n': return pg_notify(&out, id, handle, label);
    case 'w': return pg_timer(&out, id, (uint32_t)label);
    case 'q': return pg_random(&out, id, (uint32_t)label);
    case 'a': return pg_advertise(&out, id, text, tags, 1);
    case 'A': return pg_advertise_open(&out, id, text, tags, 1, label, &limits);
    case 'f': return pg_discover(&out, id, text, "test", 0);
    case 'F': return pg_discover_right(&out, id, text);
    case 'i': return pg_issue_token(&out, id, handle, text, &limits);
    case 'e': return pg_redeem_token(&out, id, text, in.header.body_length > 27 ? in.header.body_length - 27 : 0, handle != 0);
    case 'v': return pg_revoke_token(&out, id, (const uint8_t*)text);
    case 'h': return pg_history(&out, id, label, handle);
    case 's': { /* any message: to (4), deadline (8), four handles (16), four modes (4), body */
      pg_make_request(&out, handle, id, in.header.body_length > 34 ? in.header.body_length - 34 : 0);
      out.header.deadline_us = (uint32_t)label;
      copy(out.header.rights, in.body + 14, 16);
      copy(out.header.rights_mode, in.body + 30, 4);
      copy(out.body, in.body + 34, out.header.body_length);
      return pg_send_message(&out);
    }
    default: return PG_ERROR_MESSAGE;
  }
}

static void command(void) {
  const uint32_t reply = in.header.reply;
  uint32_t entry = 0;
  int32_t error;
  if (in.body[1] == 't' && in.header.body_length == 2) __builtin_trap();
  if (in.body[1] == 'l') { /* the oldest notice, and how many there are */
    in.header.label = nb_notices;
    in.header.kind = PG_NOTICE;
    in.header.body_length = 0;
    if (nb_notices != 0) {
      copy(in.header.rights, notices[0].rights, sizeof notices[0].rights);
      copy(in.body, notices[0].body, notices[0].length);
      in.header.body_length = notices[0].length;
      --nb_notices;
      for (uint32_t i = 0; i < nb_notices; ++i) copy(&notices[i], &notices[i + 1], sizeof notices[i]);
    }
    answer_report(reply, 0);
    return;
  }
  while (entry < WAITING_MAX && waiting[entry] != 0) ++entry;
  error = entry == WAITING_MAX ? PG_ERROR_BUSY : start(entry + 1);
  if (error == 0)
    waiting[entry] = reply;
  else
    answer_report(reply, error);
}

/* What came of something that a command started. */
static void finish(void) {
  const uint64_t id = pg_id(&in);
  if (id == 0 || id > WAITING_MAX || waiting[id - 1] == 0) return;
  answer_report(waiting[id - 1], 0);
  waiting[id - 1] = 0;
}

static void keep_notice(void) {
  const uint32_t length = in.header.body_length < 56 ? in.header.body_length : 56;
  if (nb_notices == NOTICES_MAX) return;
  copy(notices[nb_notices].rights, in.header.rights, 16);
  copy(notices[nb_notices].body, in.body, length);
  notices[nb_notices++].length = length;
}

/* Gives a peer the rights that it asks for. */
static void give(void) {
  uint8_t asked[20];
  copy(asked, in.body + 1, sizeof asked);
  pg_make_answer(&in, 0);
  for (uint32_t i = 0; i < 4; ++i) {
    in.header.rights[i] = (uint32_t)number(asked + 4 * i, 4);
    in.header.rights_mode[i] = asked[16 + i];
  }
  if (pg_send_message(&in) != 0) (void)pg_decline(&in);
}

PG_EXPORT("pg_activate") void pg_activate(void) {
  while (pg_receive_message(&in) == 1) {
    if (in.header.body_length < PG_BODY_MAX) in.body[in.header.body_length] = 0;
    if (in.header.kind == PG_NOTICE)
      keep_notice();
    else if (in.header.kind != PG_REQUEST)
      finish();
    else if (in.header.body_length >= 2 && in.body[0] == '!')
      command();
    else if (in.header.body_length >= 21 && in.body[0] == '?')
      give();
    else
      answer_report(in.header.reply, 0);
  }
}
