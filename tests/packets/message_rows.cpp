// Rows about the envelope, the FlatBuffer and what a message must have.
#include "tests/packets/node_under_test.hpp"
#include "tests/packets/packet_table.hpp"

namespace pgrid::test {
namespace {

using abi::Counter;
using abi::Kind;
using abi::Reason;

Bytes joined(Bytes a, const Bytes& b) { return a.insert(a.end(), b.begin(), b.end()), a; }
Bytes erased(Bytes bytes, std::size_t at, std::size_t count) {
  bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at),
              bytes.begin() + static_cast<std::ptrdiff_t>(at + count));
  return bytes;
}
Bytes inserted(Bytes bytes, std::size_t at, std::initializer_list<unsigned> values) {
  for (const unsigned value : values)
    bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at++), static_cast<std::byte>(value));
  return bytes;
}

/// A request whose FlatBuffer has exactly this length.
Bytes request_with_content(std::size_t content) {
  for (std::size_t body = 0;; ++body) {
    const MessageBuilder message = MessageBuilder().to(rights::good).body(body);
    if (message.flatbuffer().size() == content) return message.payload();
  }
}

/// The offset, within the FlatBuffer, of a part that `find` points at.
std::size_t offset_in(const Bytes& flat, auto find) {
  const auto* base = reinterpret_cast<const std::uint8_t*>(flat.data());
  return static_cast<std::size_t>(reinterpret_cast<const std::uint8_t*>(find(wire::GetMessage(base))) - base);
}
std::size_t body_length_at(const Bytes& flat) {
  return offset_in(flat, [](const wire::Message* m) { return m->body()->data() - 4; });
}
std::size_t table_at(const Bytes& flat) {
  return offset_in(flat, [](const wire::Message* m) { return m; });
}
std::size_t vtable_at(const Bytes& flat) {
  std::int32_t back = 0;
  std::memcpy(&back, flat.data() + table_at(flat), sizeof back);
  return table_at(flat) - static_cast<std::size_t>(back);
}

}  // namespace

std::vector<Row> envelope_rows() {
  const Bytes valid = valid_request();
  std::vector<Row> rows;
  for (const std::size_t length : {1u, 4u, 5u, 6u, 8u, 10u, 11u, 46u, 47u, 48u, 49u, 50u, 60u})
    rows.push_back({"datagram of " + std::to_string(length) + " bytes of a request",
                    udp(first(valid, length)), Counter::envelope_truncated});
  rows.push_back(
      {"request without its last byte", udp(first(valid, valid.size() - 1)), Counter::envelope_truncated});
  rows.push_back({"request with a byte behind it", udp(joined(valid, Bytes(1))), Counter::envelope_length});
  rows.push_back(
      {"request with four bytes behind it", udp(joined(valid, Bytes(4))), Counter::envelope_length});
  rows.push_back({"two requests in one datagram", udp(joined(valid, valid)), Counter::envelope_length});

  const auto add = [&rows](std::string name, Bytes payload, Counter counter, Reply reply = kNothing) {
    rows.push_back({std::move(name), udp(std::move(payload)), counter, reply});
  };
  add("first byte wrong", with(valid, 0, {0xdb}), Counter::envelope_not_grid);
  add("another CBOR tag", with(valid, 4, {0x65}), Counter::envelope_not_grid);
  add("zeros", Bytes(100), Counter::envelope_not_grid);
  add("plain text", bytes_of("hello, is anybody there?"), Counter::envelope_not_grid);
  add("array of three", with(valid, 5, {0x83}), Counter::envelope_malformed);
  add("array of one", with(valid, 5, {0x81}), Counter::envelope_malformed);
  add("empty array", with(valid, 5, {0x80}), Counter::envelope_malformed);
  add("map instead of array", with(valid, 5, {0xa2}), Counter::envelope_malformed);
  add("indefinite array", with(valid, 5, {0x9f}), Counter::envelope_malformed);
  add("array length in two bytes", inserted(with(valid, 5, {0x98}), 6, {0x02}),
      Counter::envelope_not_shortest);
  add("no tag 42", with(valid, 7, {0x2b}), Counter::envelope_malformed);
  add("tag 42 in three bytes", inserted(with(valid, 6, {0xd9, 0x00}), 8, {0x2a}),
      Counter::envelope_not_shortest);
  add("CID as text", with(valid, 8, {0x78}), Counter::envelope_malformed);
  add("CID length in three bytes", inserted(with(valid, 8, {0x59, 0x00}), 10, {0x25}),
      Counter::envelope_not_shortest);
  add("CID length of 23 in two bytes", with(valid, 9, {0x17}), Counter::envelope_not_shortest);
  add("CID without the leading zero", with(valid, 10, {0x01}), Counter::envelope_malformed);
  add("CID longer than the datagram", with(valid, 9, {0xff}), Counter::envelope_truncated);
  add("content as text", with(valid, 47, {0x78}), Counter::envelope_malformed);
  add("content as an array", with(valid, 47, {0x82}), Counter::envelope_malformed);
  add("content length one more", with(valid, 48, {std::to_integer<unsigned>(valid[48]) + 1}),
      Counter::envelope_truncated);
  add("content length one less", with(valid, 48, {std::to_integer<unsigned>(valid[48]) - 1}),
      Counter::envelope_length);
  add("content length of 23 in two bytes", with(valid, 48, {0x17}), Counter::envelope_not_shortest);
  add("content length in five bytes", with(valid, 47, {0x5a}), Counter::envelope_not_shortest);
  add("pad byte not zero", with(valid, 49, {0x01}), Counter::envelope_padding);

  // Lengths around the two forms of the header and the largest datagram.
  const Bytes short_form = request_with_content(252);
  add("FlatBuffer of 252 bytes, short form", short_form, Counter::dispatched);
  add("FlatBuffer of 252 bytes, long form", with(short_form, 47, {0x59, 0, 252}),
      Counter::envelope_not_shortest);
  add("FlatBuffer of 256 bytes, long form", request_with_content(256), Counter::dispatched);
  add("FlatBuffer of 254 bytes, short form", MessageBuilder::wrap(Bytes(254)), Counter::message_size);
  add("FlatBuffer of 257 bytes", MessageBuilder::wrap(Bytes(257)), Counter::message_size);
  add("FlatBuffer of 20 bytes", erased(with(valid, 48, {0x18}), 73, valid.size() - 73),
      Counter::message_size);
  add("FlatBuffer of 24 zeros", MessageBuilder::wrap(Bytes(24)), Counter::message_malformed);
  add("FlatBuffer of 1180 bytes, body of more than 1024", request_with_content(1180), Counter::too_large,
      refused(Reason::too_large));
  add("FlatBuffer of 1184 bytes", request_with_content(1184), Counter::payload_too_long);
  add("datagram of 1233 bytes of anything", Bytes(1233), Counter::payload_too_long);
  add("datagram of 1232 bytes of anything", Bytes(1232), Counter::envelope_not_grid);

  // Protocols we do not know. The refusal is 86 bytes of payload; what is not longer gets none.
  const Bytes foreign = with(valid, 20, {0x55, 0x55});
  add("unknown pCID", foreign, Counter::unknown_protocol, refused(Reason::unknown_protocol));
  add("unknown pCID, 87 bytes", first(foreign, 87), Counter::unknown_protocol,
      refused(Reason::unknown_protocol));
  add("unknown pCID, 86 bytes, as long as the refusal", first(foreign, 86), Counter::unknown_protocol);
  add("unknown pCID and nothing else", first(foreign, 47), Counter::unknown_protocol);
  add("unknown pCID, other hash function", with(valid, 13, {0x13}), Counter::unknown_protocol,
      refused(Reason::unknown_protocol));
  add("unknown pCID of 22 bytes, short header", erased(with(valid, 8, {0x57}), 9, 1),
      Counter::unknown_protocol, refused(Reason::unknown_protocol));
  return rows;
}

std::vector<Row> message_rows() {
  const MessageBuilder valid = MessageBuilder().to(rights::good);
  const Bytes flat = valid.flatbuffer();
  std::vector<Row> rows;
  const auto add = [&rows](std::string name, Bytes payload, Counter counter, Reply reply = kNothing) {
    rows.push_back({std::move(name), udp(std::move(payload)), counter, reply});
  };
  const auto add_flat = [&add](std::string name, const Bytes& content, Counter counter) {
    add(std::move(name), MessageBuilder::wrap(content), counter);
  };
  add_flat("FlatBuffer without its last four bytes", first(flat, flat.size() - 4),
           Counter::message_malformed);
  add_flat("FlatBuffer cut to 24 bytes", first(flat, 24), Counter::message_malformed);
  add_flat("FlatBuffer with four bytes of slack", joined(flat, Bytes(4)), Counter::dispatched);
  add_flat("root offset beyond the end", with(flat, 0, {0xf0, 0, 0, 0}), Counter::message_malformed);
  add_flat("root offset negative", with(flat, 0, {0xff, 0xff, 0xff, 0xff}), Counter::message_malformed);
  add_flat("root offset odd", with(flat, 0, {std::to_integer<unsigned>(flat[0]) + 1}),
           Counter::message_malformed);
  add_flat("vtable before the buffer", with(flat, table_at(flat), {0xff, 0xff, 0, 0}),
           Counter::message_malformed);
  add_flat("vtable behind the buffer", with(flat, table_at(flat), {0, 0, 0xff, 0xff}),
           Counter::message_malformed);
  add_flat("vtable of odd size", with(flat, vtable_at(flat), {5, 0}), Counter::message_malformed);
  add_flat("vtable larger than the buffer", with(flat, vtable_at(flat), {0xfe, 0xff}),
           Counter::message_malformed);
  add_flat("right beyond the end", with(flat, vtable_at(flat) + 6, {0xf0, 0}), Counter::message_malformed);
  add_flat("body beyond the end", with(flat, body_length_at(flat), {0xff}), Counter::message_malformed);
  add_flat("body of 4 GiB", with(flat, body_length_at(flat), {0xff, 0xff, 0xff, 0xff}),
           Counter::message_malformed);
  add_flat("all ones", Bytes(64, std::byte{0xff}), Counter::message_malformed);

  add("kind 4", MessageBuilder(valid).kind_number(4).payload(), Counter::message_kind_unknown);
  add("kind 255", MessageBuilder(valid).kind_number(255).payload(), Counter::message_kind_unknown);
  add("request without `to`", MessageBuilder().payload(), Counter::message_right_missing);
  add("request without id", MessageBuilder(valid).no_id().payload(), Counter::dispatched);
  add("request without body", MessageBuilder(valid).no_body().payload(), Counter::dispatched);
  add("request with an empty body", MessageBuilder(valid).body("").payload(), Counter::dispatched);
  add("request with a reason, which means nothing", MessageBuilder(valid).reason(Reason::busy).payload(),
      Counter::dispatched);
  add("request with the largest deadline", MessageBuilder(valid).deadline_us(~0u).payload(),
      Counter::dispatched);
  add("body of 1024 bytes", MessageBuilder(valid).body(1024).payload(), Counter::dispatched);
  add("body of 1025 bytes", MessageBuilder(valid).body(1025).payload(), Counter::too_large,
      refused(Reason::too_large));
  add("no carried rights, but a vector", MessageBuilder(valid).rights(0).payload(), Counter::dispatched);
  add("one carried right", MessageBuilder(valid).rights(1).payload(), Counter::carried_rights_refused,
      refused(Reason::not_permitted));
  add("four carried rights", MessageBuilder(valid).rights(4).payload(), Counter::carried_rights_refused,
      refused(Reason::not_permitted));
  add("five carried rights", MessageBuilder(valid).rights(5).payload(), Counter::message_rights_too_many);

  // None of these is ever answered, whatever right it names.
  add("answer", MessageBuilder(valid).kind(Kind::answer).payload(), Counter::answer_unexpected);
  add("answer without `to`", MessageBuilder().kind(Kind::answer).payload(), Counter::answer_unexpected);
  add("non-commitment", MessageBuilder(valid).kind(Kind::non_commitment).reason(Reason::busy).payload(),
      Counter::answer_unexpected);
  add("non-commitment without `to`",
      MessageBuilder().kind(Kind::non_commitment).reason(Reason::no_such_right).no_body().payload(),
      Counter::answer_unexpected);
  add("non-commitment with an unknown reason",
      MessageBuilder().kind(Kind::non_commitment).reason(Reason{999}).payload(), Counter::answer_unexpected);
  add("non-commitment for a right that does not exist",
      MessageBuilder().to(rights::never_used).kind(Kind::non_commitment).payload(),
      Counter::answer_unexpected);
  add("notice", MessageBuilder(valid).kind(Kind::notice).payload(), Counter::answer_unexpected);
  return rows;
}

std::vector<Row> right_rows() {
  std::vector<Row> rows;
  const auto add = [&rows](std::string name, const MessageBuilder& message, Counter counter, Reply reply,
                           int times = 1) {
    rows.push_back({std::move(name), udp(message.payload()), counter, reply, Over::both, times});
  };
  const auto to = [](const wire::RightRef& right) { return MessageBuilder().to(right); };
  const auto changed = [](wire::RightRef right, auto change) { return change(right), right; };
  const Reply unknown = refused(Reason::no_such_right);
  const Reply busy = refused(Reason::busy);

  add("slot never used", to(rights::never_used), Counter::right_unknown, unknown);
  add("slot 0, never used, all zero", to({}), Counter::right_unknown, unknown);
  add("slot one outside the table", to(rights::outside), Counter::right_unknown, unknown);
  add("slot far outside the table", to(rights::far_outside), Counter::right_unknown, unknown);
  add("slot of a send-once right, from outside", to(rights::send_once), Counter::right_unknown, unknown);
  add("first byte of the key wrong", to(changed(rights::good, [](auto& r) { r.key[0] ^= 1; })),
      Counter::right_wrong_key, unknown);
  add("last byte of the key wrong", to(changed(rights::good, [](auto& r) { r.key[15] ^= 1; })),
      Counter::right_wrong_key, unknown);
  add("an earlier generation", to(changed(rights::good, [](auto& r) { --r.generation; })),
      Counter::right_old_generation, unknown);
  add("a later generation", to(changed(rights::good, [](auto& r) { ++r.generation; })),
      Counter::right_unknown, unknown);
  add("expired", to(rights::expired), Counter::right_expired, unknown);
  add("revoked", to(rights::revoked), Counter::right_revoked, unknown);
  add("being written by a control process that died", to(rights::being_written), Counter::right_being_written,
      busy);
  add("refused with reply_to", to(rights::revoked).reply_to(rights::good), Counter::right_revoked, unknown);
  add("refused request with nothing but `to`", to(rights::revoked).no_id().no_body(), Counter::right_revoked,
      unknown);
  add("right that does not allow sending", to(rights::not_sending), Counter::not_permitted,
      refused(Reason::not_permitted));
  add("first within the quota", to(rights::one_per_second), Counter::dispatched, kNothing);
  add("second beyond the quota", to(rights::one_per_second), Counter::quota_exceeded,
      refused(Reason::quota_exceeded), 2);
  add("body as large as the right allows", to(rights::small_bodies).body(16), Counter::dispatched, kNothing);
  add("body one larger than the right allows", to(rights::small_bodies).body(17), Counter::too_large,
      refused(Reason::too_large));
  add("second while one is in flight, of one", to(rights::one_in_flight), Counter::busy_right, busy, 2);
  add("worker that is not there", to(rights::absent_worker), Counter::busy_worker, busy);
  add("in-flight table full", to(rights::good), Counter::busy_in_flight, busy, 17);
  // Three quarters of 8,192 bytes of ring hold five records of 64 + 1,024 = 1,088 bytes.
  add("request ring full", to(rights::good).body(1024), Counter::busy_ring, busy, 6);
  add("request ring just not full", to(rights::good).body(1024).reply_to(rights::good), Counter::dispatched,
      kNothing);
  return rows;
}

}  // namespace pgrid::test
