// The table of packets: what every kind of bytes on the wire must become. Valid neighbours stand beside
// invalid ones.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "abi/shared/counters.hpp"
#include "abi/shared/reason.hpp"
#include "tests/packets/packet_builder.hpp"

namespace pgrid::test {

/// What comes back to the sender.
struct Reply {
  enum class What : std::uint8_t { nothing, own_protocol, non_commitment } what = What::nothing;
  abi::Reason reason = abi::Reason::none;
};
inline constexpr Reply kNothing{};
inline constexpr Reply kOwnProtocol{Reply::What::own_protocol};
constexpr Reply refused(abi::Reason reason) { return {Reply::What::non_commitment, reason}; }

enum class Over : std::uint8_t { both, v4, v6 };  // IP versions a row makes sense for

struct Row {
  std::string description;
  std::function<Bytes(Variant)> frame;
  abi::Counter counter;  // rises by one; with `times` above 1 the frames before the last are dispatched
  Reply reply = kNothing;
  Over over = Over::both;
  int times = 1;
};

std::vector<Row> ethernet_and_ip_rows();
std::vector<Row> udp_rows();
std::vector<Row> own_protocol_rows();
std::vector<Row> envelope_rows();
std::vector<Row> message_rows();
std::vector<Row> right_rows();

inline std::vector<Row> packet_table() {
  std::vector<Row> table;
  for (auto* rows :
       {&ethernet_and_ip_rows, &udp_rows, &own_protocol_rows, &envelope_rows, &message_rows, &right_rows})
    for (Row& row : rows()) table.push_back(std::move(row));
  return table;
}

/// The variants that a row is tried with: IPv4 and IPv6, without and with a VLAN tag.
inline std::vector<Variant> variants_of(const Row& row) {
  std::vector<Variant> variants;
  for (const bool vlan : {false, true}) {
    if (row.over != Over::v6) variants.push_back({4, vlan});
    if (row.over != Over::v4) variants.push_back({6, vlan});
  }
  return variants;
}

/// A UDP frame around a payload.
inline std::function<Bytes(Variant)> udp(Bytes payload) {
  return [payload = std::move(payload)](Variant v) { return PacketBuilder(v).payload(payload).build(); };
}
/// A valid request through a valid right, for rows about what is around it.
Bytes valid_request();
/// The frame of that request, changed by `change(builder)`.
inline std::function<Bytes(Variant)> request_frame(std::function<void(PacketBuilder&)> change) {
  return [change = std::move(change)](Variant v) {
    PacketBuilder builder(v);
    builder.payload(valid_request());
    change(builder);
    return builder.build();
  };
}
/// `bytes` with some of them replaced.
inline Bytes with(Bytes bytes, std::size_t at, std::initializer_list<unsigned> values) {
  for (const unsigned value : values) bytes.at(at++) = static_cast<std::byte>(value);
  return bytes;
}
inline Bytes first(Bytes bytes, std::size_t length) { return bytes.resize(length), bytes; }

}  // namespace pgrid::test
