#include "tests/packets/packet_builder.hpp"

#include <algorithm>

namespace pgrid::test {
namespace {

void put8(Bytes& bytes, unsigned value) { bytes.push_back(static_cast<std::byte>(value)); }
void put16(Bytes& bytes, unsigned value) {
  put8(bytes, value >> 8 & 0xff);
  put8(bytes, value & 0xff);
}
void put(Bytes& bytes, const auto& array) {
  for (const auto byte : array) bytes.push_back(static_cast<std::byte>(byte));
}
void set16(Bytes& bytes, std::size_t at, unsigned value) {
  bytes[at] = static_cast<std::byte>(value >> 8);
  bytes[at + 1] = static_cast<std::byte>(value);
}

/// RFC 1071 as it stands there: 16-bit words, big-endian, one at a time.
std::uint16_t internet_checksum(const Bytes& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += std::to_integer<std::uint32_t>(bytes[i]) << 8;
    if (i + 1 < bytes.size()) sum += std::to_integer<std::uint32_t>(bytes[i + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<std::uint16_t>(~sum);
}

dataplane::PortIdentity identity(std::array<std::uint8_t, 6> mac, std::array<std::uint8_t, 4> ipv4,
                                 std::array<std::uint8_t, 16> ipv6, std::uint16_t port) {
  dataplane::PortIdentity identity;
  identity.mac = mac;
  identity.ipv4[0] = ipv4;
  identity.nb_ipv4 = 1;
  identity.ipv6[0] = ipv6;
  identity.nb_ipv6 = 1;
  identity.udp_port = port;
  return identity;
}

}  // namespace

dataplane::PortIdentity node_identity() { return identity(kNodeMac, kNodeIpv4, kNodeIpv6, 4646); }
dataplane::PortIdentity client_identity() {
  return identity(kClientMac, kClientIpv4, kClientIpv6, kClientPort);
}

Bytes PacketBuilder::build_l4() const {
  Bytes l4;
  std::size_t checksum_at = 2;
  if (icmp_) {
    l4 = *icmp_;
  } else {
    put16(l4, from_port_);
    put16(l4, to_port_);
    put16(l4, udp_length_
                  ? *udp_length_
                  : static_cast<unsigned>(8 + static_cast<int>(payload_.size()) + udp_length_wrong_by_));
    put16(l4, 0);
    put(l4, payload_);
    checksum_at = 6;
  }
  if (l4.size() < checksum_at + 2 || l4_checksum_ == Checksum::zero) return l4;
  Bytes summed;
  const bool v4 = variant_.ip_version == 4;
  if (!(v4 && icmp_)) {  // the pseudo-header
    v4 ? put(summed, from_v4_) : put(summed, from_v6_);
    v4 ? put(summed, to_v4_) : put(summed, to_v6_);
    put16(summed, icmp_ ? 58 : 17);
    put16(summed, static_cast<unsigned>(l4.size()));
  }
  put(summed, l4);
  std::uint16_t checksum = internet_checksum(summed);
  if (checksum == 0 && !icmp_) checksum = 0xffff;
  if (l4_checksum_ == Checksum::bad) checksum ^= 0x0101;
  set16(l4, checksum_at, checksum);
  return l4;
}

Bytes PacketBuilder::build_ip(const Bytes& l4) const {
  Bytes ip;
  if (variant_.ip_version == 4) {
    const auto words = header_words_.value_or(static_cast<std::uint8_t>(5 + options_.size() / 4));
    put8(ip, static_cast<unsigned>(version_.value_or(4) << 4 | words));
    put8(ip, 0);
    const int length = static_cast<int>(20 + options_.size() + l4.size()) + ip_length_wrong_by_;
    put16(ip, ip_length_ ? *ip_length_ : static_cast<unsigned>(length));
    put16(ip, 0x1234);
    put16(ip, fragment_);
    put8(ip, hop_limit_);
    put8(ip, protocol_.value_or(icmp_ ? 1 : 17));
    put16(ip, 0);
    put(ip, from_v4_);
    put(ip, to_v4_);
    put(ip, options_);
    const std::uint16_t checksum = internet_checksum(ip);
    set16(ip, 10, bad_ip_checksum_ ? checksum ^ 1u : checksum);
  } else {
    const std::size_t extra = extension_ ? 8 : 0;
    const std::uint8_t l4_protocol = protocol_.value_or(icmp_ ? 58 : 17);
    put16(ip, static_cast<unsigned>(version_.value_or(6) << 12));
    put16(ip, 0);
    const int length = static_cast<int>(extra + l4.size()) + ip_length_wrong_by_;
    put16(ip, ip_length_ ? *ip_length_ : static_cast<unsigned>(length));
    put8(ip, extension_.value_or(l4_protocol));
    put8(ip, hop_limit_);
    put(ip, from_v6_);
    put(ip, to_v6_);
    if (extension_) put(ip, std::array<std::uint8_t, 8>{l4_protocol, 0, 0, 1, 0, 0, 0, 0});
  }
  put(ip, l4);
  return ip;
}

Bytes PacketBuilder::build() const {
  Bytes frame;
  put(frame, to_mac_);
  put(frame, from_mac_);
  for (const Tag& tag : tags_) {
    put16(frame, tag.type);
    put16(frame, tag.tci);
  }
  if (variant_.vlan) {
    put16(frame, 0x8100);
    put16(frame, 0x6064);  // priority 3, VLAN 100
  }
  put16(frame, ethertype_.value_or(variant_.ip_version == 4 ? 0x0800 : 0x86dd));
  put(frame, raw_ ? *raw_ : build_ip(build_l4()));
  if (cut_to_) frame.resize(std::min(*cut_to_, frame.size()));
  frame.resize(frame.size() + append_);
  return frame;
}

}  // namespace pgrid::test
