#include "dataplane/answer.hpp"

#include <cstring>

#include "abi/shared/geometry.hpp"
#include "dataplane/bytes.hpp"
#include "dataplane/checksum.hpp"

namespace pgrid::dataplane {
namespace {

constexpr std::size_t kVlanTag = 4;
constexpr std::size_t kEthernet = 14;
constexpr std::size_t kIpv4 = 20;
constexpr std::size_t kIpv6 = 40;
constexpr std::size_t kUdp = 8;
constexpr std::uint8_t kHopLimit = 64;

constexpr std::size_t round_up_4(std::size_t n) { return (n + 3) & ~std::size_t{3}; }

// The FlatBuffer, offsets from its first byte. `to` and `body` may each be absent; without a body the vtable
// ends at `reason`. tests/packets/answer_test.cpp proves with the generated accessors that this is what the
// schema means.
//
//   with body                                     without
//    0  u32 24: the table's offset                 0  u32 20
//    4  vtable: u16 size 20, table size, 8 fields  4  vtable: u16 size 16, table size, 6 fields
//   24  table: i32 20 back to the vtable          20  table: i32 16
//   28  u32 offset of the body vector             24  id, 8 bytes
//   32  id, 8 bytes                               32  u16 reason
//   40  u16 reason                                34  u8 kind, u8 zero
//   42  u8 kind, u8 zero                          36  [to, 24 bytes]
//   44  [to, 24 bytes]
//   44 or 68  u32 length of the body, body, zeros up to a multiple of 4
struct Layout {
  bool has_to;
  bool has_body;
  [[nodiscard]] constexpr std::size_t vtable_size() const { return 4 + 2 * (has_body ? 8 : 6); }
  [[nodiscard]] constexpr std::size_t table() const { return 4 + vtable_size(); }
  [[nodiscard]] constexpr std::size_t id() const { return table() + (has_body ? 8 : 4); }
  [[nodiscard]] constexpr std::size_t reason() const { return id() + 8; }
  [[nodiscard]] constexpr std::size_t kind() const { return reason() + 2; }
  [[nodiscard]] constexpr std::size_t to() const { return reason() + 4; }
  [[nodiscard]] constexpr std::size_t table_end() const { return to() + (has_to ? 24 : 0); }
  [[nodiscard]] constexpr std::size_t size() const {
    return table_end() + (has_body ? 4 : 0);
  }  // body not counted
};
static_assert(Layout{false, true}.size() == 48 && Layout{true, true}.size() == 72 &&
              Layout{false, false}.size() == 36 && Layout{true, false}.size() == 60);
static_assert(wire::kFlatBufferOffset + Layout{true, true}.size() + abi::kBodyMax <= wire::kPayloadMax);

/// Envelope and FlatBuffer with zero wherever a patch goes, in the short form of the envelope.
template <Layout layout>
constexpr auto kHead = [] {
  std::array<std::uint8_t, wire::kFlatBufferOffset + layout.size()> bytes{};
  for (std::size_t i = 0; i < wire::kPrefixSize; ++i) bytes[i] = wire::kMessage1Prefix[i];
  bytes[wire::kPrefixSize] = 0x58;
  const auto put16 = [&](std::size_t at, std::size_t value) {
    bytes[wire::kFlatBufferOffset + at] = static_cast<std::uint8_t>(value);
    bytes[wire::kFlatBufferOffset + at + 1] = static_cast<std::uint8_t>(value >> 8);
  };
  const auto field = [&](std::size_t index, std::size_t at) { put16(8 + 2 * index, at - layout.table()); };
  put16(0, layout.table());
  put16(4, layout.vtable_size());
  put16(6, layout.table_end() - layout.table());
  field(0, layout.kind());
  if (layout.has_to) field(1, layout.to());
  field(3, layout.id());
  field(5, layout.reason());
  put16(layout.table(), layout.vtable_size());
  if (layout.has_body) {
    field(7, layout.table() + 4);
    put16(layout.table() + 4, layout.table_end() - (layout.table() + 4));
  }
  return bytes;
}();

template <Layout layout>
constexpr ChecksumSum kHeadSum = [] {
  ChecksumSum sum = 0;
  for (std::size_t i = 0; i < kHead<layout>.size(); ++i)
    sum += ChecksumSum{kHead<layout>[i]}
           << (i % 2 == 0 ? 0 : 8);  // as the machine would load it: little-endian
  return sum;
}();

constexpr ChecksumSum halves(std::uint64_t value) { return (value & 0xffff'ffff) + (value >> 32); }

/// Writes the UDP payload and returns its sum.
template <Layout layout>
ChecksumSum write_payload(std::byte* payload, const AnswerFields& fields, std::span<const std::byte> body) {
  std::memcpy(payload, kHead<layout>.data(), kHead<layout>.size());
  ChecksumSum sum = kHeadSum<layout>;

  const std::size_t content = layout.size() + (layout.has_body ? round_up_4(body.size()) : 0);
  if (content <= wire::kShortContentMax) {
    payload[48] = static_cast<std::byte>(content + 1);
    sum += content + 1;
  } else {
    payload[47] = std::byte{0x59};
    store_be16(payload + 48, static_cast<std::uint16_t>(content));
    sum += 0x0100 + word_sum(static_cast<std::uint16_t>(content));  // 0x59 - 0x58 at an odd offset
  }

  std::byte* flat = payload + wire::kFlatBufferOffset;
  const auto id = std::bit_cast<std::uint64_t>(fields.id);
  const auto reason = static_cast<std::uint16_t>(fields.reason);
  std::memcpy(flat + layout.id(), &id, sizeof id);
  store_native16(flat + layout.reason(), reason);
  flat[layout.kind()] = static_cast<std::byte>(fields.kind);
  sum += halves(id) + reason + static_cast<std::uint8_t>(fields.kind);
  if constexpr (layout.has_to)
    sum +=
        copy_and_sum(flat + layout.to(), reinterpret_cast<const std::byte*>(fields.to), sizeof(RightOnWire));
  if constexpr (layout.has_body) {
    const auto length = static_cast<std::uint32_t>(body.size());
    std::memcpy(flat + layout.table_end(), &length, sizeof length);
    constexpr std::uint32_t zero = 0;  // the last four bytes may be padding; the copy overwrites what is not
    std::memcpy(flat + content - 4, &zero, sizeof zero);
    sum += length + copy_and_sum(flat + layout.size(), body.data(), body.size());
  }
  return sum;
}

std::byte* write_ethernet(std::byte* out, const ReturnPath& path) {
  std::memcpy(out, path.macs.data(), path.macs.size());
  out += path.macs.size();
  if (path.vlan) {
    store_be16(out, 0x8100);
    store_be16(out + 2, path.vlan_tci);
    out += kVlanTag;
  }
  store_be16(out, path.ip_version == 4 ? 0x0800 : 0x86dd);
  return out + 2;
}

/// Writes an IPv4 header and returns the sum of the pseudo-header. Identification 0 with "don't fragment":
/// RFC 6864.
ChecksumSum write_ipv4(std::byte* ip, const ReturnPath& path, std::size_t udp_length, bool offload) {
  constexpr std::uint64_t first = 0x45 | std::uint64_t{0x40} << 48;  // and the total length at byte 2
  constexpr std::uint32_t second = kHopLimit | kProtocolUdp << 8;    // and the checksum at byte 10
  constexpr ChecksumSum constant_sum = halves(first) + second;
  const ChecksumSum total = word_sum(static_cast<std::uint16_t>(kIpv4 + udp_length));
  std::uint64_t addresses;
  std::memcpy(&addresses, path.addresses.data(), sizeof addresses);
  const ChecksumSum addresses_sum = halves(addresses);
  const std::uint32_t checksum = offload ? 0 : checksum_of(constant_sum + total + addresses_sum);
  store_native64(ip, first | total << 16);
  store_native32(ip + 8, second | checksum << 16);
  store_native64(ip + 12, addresses);
  return addresses_sum + word_sum(kProtocolUdp) + word_sum(static_cast<std::uint16_t>(udp_length));
}

ChecksumSum write_ipv6(std::byte* ip, const ReturnPath& path, std::size_t udp_length) {
  constexpr std::uint8_t head[8] = {0x60, 0, 0, 0, 0, 0, kProtocolUdp, kHopLimit};
  std::memcpy(ip, head, sizeof head);
  store_be16(ip + 4, static_cast<std::uint16_t>(udp_length));
  std::memcpy(ip + 8, path.addresses.data(), path.addresses.size());
  return pseudo_header_v6(ip + 8, kProtocolUdp, udp_length);
}

constexpr Layout layout_of(bool has_to, std::size_t body_length) { return {has_to, body_length != 0}; }

}  // namespace

std::size_t answer_payload_size(bool has_to, std::size_t body_length) noexcept {
  return wire::kFlatBufferOffset + layout_of(has_to, body_length).size() + round_up_4(body_length);
}

std::size_t answer_frame_size(const ReturnPath& path, bool has_to, std::size_t body_length) noexcept {
  return kEthernet + (path.vlan ? kVlanTag : 0) + (path.ip_version == 4 ? kIpv4 : kIpv6) + kUdp +
         answer_payload_size(has_to, body_length);
}

std::size_t write_answer_frame(std::byte* out, const ReturnPath& path, const AnswerFields& fields,
                               std::span<const std::byte> body, bool offload_checksums) noexcept {
  const std::size_t payload_size = answer_payload_size(fields.to != nullptr, body.size());
  const std::size_t udp_length = kUdp + payload_size;
  std::byte* const ip = write_ethernet(out, path);
  std::byte* udp = nullptr;
  ChecksumSum pseudo = 0;
  if (path.ip_version == 4) {
    pseudo = write_ipv4(ip, path, udp_length, offload_checksums);
    udp = ip + kIpv4;
  } else {
    pseudo = write_ipv6(ip, path, udp_length);
    udp = ip + kIpv6;
  }

  std::byte* const payload = udp + kUdp;
  ChecksumSum sum = 0;
  if (fields.to == nullptr) {
    sum = body.empty() ? write_payload<Layout{false, false}>(payload, fields, body)
                       : write_payload<Layout{false, true}>(payload, fields, body);
  } else {
    sum = body.empty() ? write_payload<Layout{true, false}>(payload, fields, body)
                       : write_payload<Layout{true, true}>(payload, fields, body);
  }

  std::uint32_t ports;
  std::memcpy(&ports, path.ports.data(), sizeof ports);
  const ChecksumSum length = word_sum(static_cast<std::uint16_t>(udp_length));
  const std::uint64_t checksum = offload_checksums ? fold(pseudo) : udp_checksum_of(sum + pseudo + ports + length);
  store_native64(udp, ports | length << 32 | checksum << 48);
  return static_cast<std::size_t>(payload - out) + payload_size;
}

}  // namespace pgrid::dataplane
