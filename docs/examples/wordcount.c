/* Counts the words of the body, which are what blanks separate, and answers the number in decimal. Declines a body that is
 * not ASCII text: saying no is not breaking a promise. */
#include <promisegrid.h>

static struct pg_buffer message;

static int is_blank(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static int is_text(uint8_t c) { return is_blank(c) || (c > ' ' && c < 0x7f); }

PG_EXPORT("pg_activate") void pg_activate(void) {
  while (pg_receive_message(&message) == 1) {
    if (message.header.kind != PG_REQUEST) continue;
    uint32_t words = 0;
    int in_word = 0, text = 1;
    for (uint32_t i = 0; i < message.header.body_length; ++i) {
      const uint8_t c = message.body[i];
      text = text && is_text(c);
      words += !is_blank(c) && !in_word;
      in_word = !is_blank(c);
    }
    if (!text) {
      pg_decline(&message);
      continue;
    }
    uint32_t length = 1; /* of the number: a body has at most 512 words */
    for (uint32_t n = words; n >= 10; n /= 10) ++length;
    for (uint32_t i = length; i-- > 0; words /= 10) message.body[i] = (uint8_t)('0' + words % 10);
    pg_answer(&message, length);
  }
}
