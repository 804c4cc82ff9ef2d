// Requests of promise-1: whatever is read has one encoding, which is the input; strings lie within it; every
// value is in its range. The first byte says how many rights the message carries.
#include "control/cbor/cbor.hpp"
#include "control/cbor/utf8.hpp"
#include "control/promise/request.hpp"
#include "tests/fuzz/fuzz_target.hpp"

using namespace pgrid::control;
using pgrid::test::require;

namespace {

void write_value(CborWriter& out, const PromiseRequest& r, Field field) {
  switch (field) {
    case Field::label:
      out.number(r.label);
      return;
    case Field::can:
      out.number(r.can);
      return;
    case Field::rate:
      out.number(r.rate);
      return;
    case Field::burst:
      out.number(r.burst);
      return;
    case Field::in_flight:
      out.number(r.in_flight);
      return;
    case Field::body_max:
      out.number(r.body_max);
      return;
    case Field::deadline_us:
      out.number(r.deadline_us);
      return;
    case Field::expires_ms:
      out.number(r.expires_ms);
      return;
    case Field::number:
      out.number(r.number);
      return;
    case Field::who:
      out.text(r.who);
      return;
    case Field::us:
      out.number(r.us);
      return;
    case Field::count:
      out.number(r.count);
      return;
    case Field::text:
      out.text(r.text);
      return;
    case Field::tags:
      out.array(r.nb_tags);
      for (std::size_t i = 0; i < r.nb_tags; ++i) out.text(r.tags[i]);
      return;
    case Field::open:
      out.boolean(r.open);
      return;
    case Field::name:
      out.text(r.name);
      return;
    case Field::want:
      out.boolean(r.want);
      return;
    case Field::since:
      out.number(r.since);
      return;
    case Field::bytes:
      out.bytes(r.bytes);
      return;
    case Field::more:
      out.boolean(r.more);
      return;
    case Field::cid:
      out.bytes(r.cid);
      return;
    case Field::after:
      out.text(r.after);
      return;
    default:
      require(false, "a key of no request");
  }
}

bool within(std::string_view part, std::span<const std::uint8_t> whole) {
  return pgrid::test::lies_within(std::as_bytes(std::span(part.data(), part.size())), std::as_bytes(whole));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const pgrid::test::Input input(data + 1, size - 1);
  const std::span<const std::uint8_t> body(reinterpret_cast<const std::uint8_t*>(input.bytes().data()),
                                           size - 1);
  const auto request = read_request(body, data[0] % 6);
  if (!request) {
    require(!request.error().text.empty() && request.error().reason == pgrid::abi::Reason::declined,
            "a refusal says why");
    return 0;
  }
  require(body.size() <= 1024, "longer than a body");
  require(
      request->can <= 7 && request->in_flight <= 0xffff && request->us <= 60'000'000 && request->count <= 256,
      "range");
  for (const std::string_view text : {request->who, request->text, request->name, request->after})
    require(within(text, body) && is_utf8(text), "text");
  CborWriter out;
  std::uint64_t pairs = 1;
  for (std::uint8_t key = 1; key < 32; ++key) pairs += request->has(static_cast<Field>(key)) ? 1 : 0;
  out.map(pairs).number(0).number(static_cast<std::uint64_t>(request->op));
  for (std::uint8_t key = 1; key < 32; ++key) {
    if (!request->has(static_cast<Field>(key))) continue;
    out.number(key);
    write_value(out, *request, static_cast<Field>(key));
  }
  const auto again = out.take();
  require(again.size() == body.size() && std::memcmp(again.data(), body.data(), body.size()) == 0,
          "two encodings of one request");
  return 0;
}
