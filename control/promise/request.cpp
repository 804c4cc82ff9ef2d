#include "control/promise/request.hpp"

#include <algorithm>
#include <limits>

#include "abi/shared/geometry.hpp"
#include "control/cbor/cbor.hpp"

namespace pgrid::control {
namespace {

constexpr std::uint64_t kAny = std::numeric_limits<std::uint64_t>::max();

constexpr std::uint32_t bit(Field key) { return 1u << static_cast<unsigned>(key); }
template <typename... Fields>
constexpr std::uint32_t bits(Fields... keys) {
  return (bit(keys) | ... | 0u);
}

constexpr std::uint32_t kLimits = bits(Field::can, Field::rate, Field::burst, Field::in_flight,
                                       Field::body_max, Field::deadline_us, Field::expires_ms);
constexpr std::uint32_t kLabelled = kLimits | bit(Field::label);

/// What an operation must have, may have, and how many rights its message carries.
struct Form {
  std::uint32_t needed = 0;
  std::uint32_t allowed = 0;  // beside those
  std::size_t rights_min = 0;
  std::size_t rights_max = 0;
};
constexpr Form form_of(Op op) {
  switch (op) {
    case Op::mint:
      return {0, kLabelled, 0, 0};
    case Op::derive:
      return {0, kLabelled, 1, 1};
    case Op::grant:
      return {bit(Field::who), kLabelled, 1, 1};
    case Op::attenuate:
      return {0, kLimits, 1, 1};
    case Op::revoke:
      return {0, 0, 1, 1};
    case Op::drop:
      return {0, 0, 1, abi::kCarriedRightsMax};
    case Op::notify:
      return {bit(Field::number), 0, 1, 1};
    case Op::timer:
      return {bit(Field::us), 0, 0, 0};
    case Op::random:
      return {bit(Field::count), 0, 0, 0};
    case Op::advertise:
      return {bit(Field::text), kLabelled | bits(Field::tags, Field::open), 0, 0};
    case Op::discover:
      return {0, bits(Field::name, Field::tags, Field::want, Field::after), 0, 0};
    case Op::issue_token:
      return {bits(Field::who, Field::expires_ms), kLimits, 1, 1};
    case Op::redeem_token:
      return {bit(Field::bytes), bit(Field::more), 0, 0};
    case Op::revoke_token:
      return {bit(Field::cid), 0, 0, 0};
    case Op::history:
      return {0, bits(Field::since, Field::count), 0, 0};
  }
  return {};
}

/// Reads the values of a map, one key after the other. False: the value is of another kind or out of its
/// range.
class Values {
 public:
  Values(CborReader& in, PromiseRequest& request) : in_(in), request_(request) {}

  bool read(Field key) {
    PromiseRequest& r = request_;
    switch (key) {
      case Field::label:
        return number(r.label, 0, kAny);
      case Field::can:
        return number(r.can, 1, 7);
      case Field::rate:
        return number(r.rate, 0, 0x7fff'ffff);
      case Field::burst:
        return number(r.burst, 1, 0x7fff'ffff);
      case Field::in_flight:
        return number(r.in_flight, 1, 0xffff);
      case Field::body_max:
        return number(r.body_max, 0, abi::kBodyMax);
      case Field::deadline_us:
        return number(r.deadline_us, 1, 60'000'000);
      case Field::expires_ms:
        return number(r.expires_ms, 1, 315'360'000'000);  // ten years
      case Field::number:
        return number(r.number, 0, kAny);
      case Field::who:
        return text(r.who, 1, kWhoMax);
      case Field::us:
        return number(r.us, 0, kTimerMaxUs);
      case Field::count:
        return number(r.count, 1, kRandomMax);
      case Field::text:
        return text(r.text, 0, kTextMax);
      case Field::tags:
        return tags();
      case Field::open:
        return boolean(r.open);
      case Field::name:
        return text(r.name, 0, kNameMax);
      case Field::want:
        return boolean(r.want);
      case Field::since:
        return number(r.since, 0, kAny);
      case Field::bytes:
        return bytes(r.bytes, 1, kTokenPartMax);
      case Field::more:
        return boolean(r.more);
      case Field::cid:
        return bytes(r.cid, kCidSize, kCidSize);
      case Field::after:
        return text(r.after, 1, kNameMax);
      case Field::op:
      case Field::why:
      case Field::list:
      case Field::verdict:
        return false;  // of no request
    }
    return false;
  }

 private:
  bool number(std::uint64_t& field, std::uint64_t min, std::uint64_t max) {
    const auto value = in_.number();
    field = value.value_or(0);
    return value && *value >= min && *value <= max;
  }
  bool text(std::string_view& field, std::size_t min, std::size_t max) {
    const auto value = in_.text();
    field = value.value_or("");
    return value && value->size() >= min && value->size() <= max;
  }
  bool bytes(std::span<const std::uint8_t>& field, std::size_t min, std::size_t max) {
    const auto value = in_.bytes();
    if (!value || value->size() < min || value->size() > max) return false;
    field = *value;
    return true;
  }
  bool boolean(bool& field) {
    const auto value = in_.boolean();
    field = value.value_or(false);
    return value.has_value();
  }
  bool tags() {
    const auto size = in_.array();
    if (!size || *size < 1 || *size > kTagsMax) return false;
    for (request_.nb_tags = 0; request_.nb_tags < *size; ++request_.nb_tags)
      if (!text(request_.tags[request_.nb_tags], 1, kTagMax)) return false;
    return true;
  }

  CborReader& in_;
  PromiseRequest& request_;
};

std::unexpected<Refusal> malformed(std::string text) {
  return std::unexpected(Refusal{abi::Reason::declined, std::move(text)});
}

}  // namespace

std::expected<PromiseRequest, Refusal> read_request(std::span<const std::uint8_t> body,
                                                    std::size_t nb_rights) {
  if (body.size() > abi::kBodyMax) return malformed("the body is longer than 1,024 bytes");
  PromiseRequest request;
  CborReader in(body);
  const auto pairs = in.map();
  if (!pairs) return malformed("the body is no map");
  const auto first = in.number();
  const auto op = first == 0u ? in.number() : std::nullopt;
  if (*pairs == 0 || !op) return malformed("the map does not begin with the operation, key 0");
  if (*op == 0 || *op >= kOpEnd) return malformed("operation " + std::to_string(*op) + " is unknown here");
  request.op = static_cast<Op>(*op);
  const Form form = form_of(request.op);
  Values values(in, request);
  std::uint64_t last = 0;
  for (std::uint64_t i = 1; i < *pairs; ++i) {
    const auto key = in.number();
    if (!key || *key <= last) return malformed("keys are not rising numbers in their shortest form");
    last = *key;
    const bool known =
        *key <= static_cast<std::uint64_t>(Field::after) && ((form.needed | form.allowed) >> *key & 1) != 0;
    if (!known) return malformed("this operation has no key " + std::to_string(*key));
    if (!values.read(static_cast<Field>(*key)))
      return malformed("the value of key " + std::to_string(*key) + " is not possible");
    request.keys |= 1u << *key;
  }
  if (!in.at_end()) return malformed("there is something behind the map");
  if ((request.keys & form.needed) != form.needed)
    return malformed("a key that this operation needs is missing");
  if (nb_rights < form.rights_min || nb_rights > form.rights_max)
    return malformed("this operation carries " +
                     (form.rights_min == form.rights_max ? std::to_string(form.rights_min)
                                                         : "1 to " + std::to_string(form.rights_max)) +
                     " rights, not " + std::to_string(nb_rights));
  if (request.op == Op::history && request.count > kHistoryMax)
    return malformed("at most 64 events at a time");
  return request;
}

}  // namespace pgrid::control
