#include "dataplane/frame.hpp"

#include <algorithm>
#include <cstring>

#include "dataplane/bytes.hpp"
#include "dataplane/checksum.hpp"

namespace pgrid::dataplane {
namespace {

using abi::Counter;

constexpr std::uint16_t kEtherIpv4 = 0x0800;
constexpr std::uint16_t kEtherArp = 0x0806;
constexpr std::uint16_t kEtherVlan = 0x8100;        // 802.1Q customer tag
constexpr std::uint16_t kEtherServiceTag = 0x88a8;  // 802.1ad: only ever outside another tag
constexpr std::uint16_t kEtherOldServiceTag = 0x9100;
constexpr std::uint16_t kEtherIpv6 = 0x86dd;

constexpr std::size_t kEthernet = 14;
constexpr std::size_t kVlanTag = 4;
constexpr std::size_t kIpv4 = 20;
constexpr std::size_t kIpv6 = 40;
constexpr std::size_t kUdp = 8;
constexpr std::size_t kArp = 28;  // of Ethernet and IPv4
constexpr std::size_t kIcmpEcho = 8;
constexpr std::size_t kSolicitation = 24;  // ICMPv6 header, reserved word, target

constexpr std::uint8_t kNextFragment = 44;  // IPv6 fragment header

// Every step fills the one ParsedFrame that the caller gets: copying it costs more than all checks together
// (measured: bench/micro/stages_bench).
void drop(ParsedFrame& parsed, Counter why) { parsed.drop = why; }
void take(ParsedFrame& parsed, FrameKind kind) { parsed.kind = kind; }

/// What every later step needs to know besides the frame.
struct Received {
  const PortIdentity& port;
  ChecksumStatus ip;
  ChecksumStatus l4;
  bool to_group;  // Ethernet multicast or broadcast
};

bool wrong(ChecksumStatus status, const PortIdentity& port, auto&& is_good) {
  if (status == ChecksumStatus::good) return false;
  if (status == ChecksumStatus::bad) return true;
  return !port.trust_checksums && !is_good();
}

bool is_our_ipv4(const PortIdentity& port, const std::byte* address) {
  for (std::size_t i = 0; i < port.nb_ipv4; ++i)
    if (std::memcmp(port.ipv4[i].data(), address, 4) == 0) return true;
  return false;
}
bool is_our_ipv6(const PortIdentity& port, const std::byte* address) {
  for (std::size_t i = 0; i < port.nb_ipv6; ++i)
    if (std::memcmp(port.ipv6[i].data(), address, 16) == 0) return true;
  return false;
}
/// ff02::1:ffXX:XXXX (RFC 4291 section 2.7.1): where solicitations for one of our addresses go.
bool is_our_solicited_node(const PortIdentity& port, const std::byte* address) {
  constexpr std::uint8_t prefix[13] = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
  if (std::memcmp(address, prefix, sizeof prefix) != 0) return false;
  for (std::size_t i = 0; i < port.nb_ipv6; ++i)
    if (std::memcmp(port.ipv6[i].data() + 13, address + 13, 3) == 0) return true;
  return false;
}

/// 0/8 "this network", 127/8 loopback, 224/4 multicast, 240/4 reserved with the broadcast address: RFC 1122
/// section 3.2.1.3; and our own.
bool is_answerable_ipv4(const PortIdentity& port, const std::byte* address) {
  const std::uint8_t first = load_u8(address);
  return first != 0 && first != 127 && first < 224 && !is_our_ipv4(port, address);
}
/// Not multicast, unspecified, loopback, IPv4-mapped (::ffff:0:0/96) or our own.
bool is_answerable_ipv6(const PortIdentity& port, const std::byte* address) {
  constexpr std::uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (load_u8(address) == 0xff || is_our_ipv6(port, address)) return false;
  if (load_native64(address) != 0) return true;
  const std::uint64_t low = __builtin_bswap64(load_native64(address + 8));
  return low > 1 && std::memcmp(address, mapped, sizeof mapped) != 0;
}
bool is_unspecified(const std::byte* ipv6) { return (load_native64(ipv6) | load_native64(ipv6 + 8)) == 0; }

void parse_udp(ParsedFrame& parsed, std::span<const std::byte> l4, ChecksumSum addresses,
               const Received& received) {
  if (l4.size() < kUdp) return drop(parsed, Counter::udp_malformed);
  const std::size_t length = load_be16(l4.data() + 4);
  if (length != l4.size()) return drop(parsed, Counter::udp_malformed);
  if (load_be16(l4.data() + 2) != received.port.udp_port) return drop(parsed, Counter::udp_port_closed);
  if (load_be16(l4.data()) == 0) return drop(parsed, Counter::source_invalid);
  if (load_be16(l4.data() + 6) == 0) return drop(parsed, Counter::udp_checksum_missing);
  if (wrong(received.l4, received.port,
            [&] { return checksum_is_good(addresses + sum_bytes(l4.data(), l4.size())); }))
    return drop(parsed, Counter::udp_checksum_bad);
  parsed.frame.payload = l4.subspan(kUdp);
  return take(parsed, FrameKind::message);
}

// The kernel and NICs do not offload ICMP, so its checksum is always computed here; pings are rare.
void parse_icmp(ParsedFrame& parsed, std::span<const std::byte> l4) {
  if (l4.size() < kIcmpEcho || load_be16(l4.data()) != 0x0800 /* type 8, code 0 */ ||
      parsed.frame.l3_length != kIpv4 || !checksum_is_good(sum_bytes(l4.data(), l4.size())))
    return drop(parsed, Counter::icmp_ignored);
  parsed.frame.payload = l4;
  return take(parsed, FrameKind::echo_request_v4);
}

/// Nearly all have no options: five words.
ChecksumSum sum_header(const std::byte* ip, std::size_t length) {
  if (length != kIpv4) [[unlikely]]
    return sum_bytes(ip, length);
  return ChecksumSum{load_native32(ip)} + load_native32(ip + 4) + load_native32(ip + 8) + load_native32(ip + 12) +
         load_native32(ip + 16);
}

void parse_ipv4(ParsedFrame& parsed, std::span<const std::byte> l3, const Received& received) {
  if (l3.size() < kIpv4) return drop(parsed, Counter::frame_truncated);
  const std::byte* ip = l3.data();
  const std::size_t header = (load_u8(ip) & 0x0f) * 4u;
  const std::size_t total = load_be16(ip + 2);
  if (load_u8(ip) >> 4 != 4 || header < kIpv4 || total < header) return drop(parsed, Counter::ip_malformed);
  if (total > l3.size()) return drop(parsed, Counter::frame_truncated);
  if (wrong(received.ip, received.port, [&] { return checksum_is_good(sum_header(ip, header)); }))
    return drop(parsed, Counter::ip_checksum_bad);
  if (!is_our_ipv4(received.port, ip + 16)) return drop(parsed, Counter::ip_not_for_us);
  if (received.to_group) return drop(parsed, Counter::frame_not_for_us);  // RFC 1122 section 3.3.6
  if (!is_answerable_ipv4(received.port, ip + 12)) return drop(parsed, Counter::source_invalid);
  if ((load_be16(ip + 6) & 0x3fff) != 0)
    return drop(parsed, Counter::ip_fragment);  // more fragments, or an offset

  parsed.frame.ip_version = 4;
  parsed.frame.l3_length = static_cast<std::uint16_t>(header);
  const auto l4 = l3.subspan(header, total - header);  // what is behind is Ethernet padding
  const std::uint8_t protocol = load_u8(ip + 9);
  if (protocol == kProtocolUdp) [[likely]]
    return parse_udp(parsed, l4, pseudo_header_v4(ip + 12, kProtocolUdp, l4.size()), received);
  if (protocol == kProtocolIcmp) return parse_icmp(parsed, l4);
  return drop(parsed, Counter::ip_protocol_unknown);
}

/// RFC 4861 section 7.1.1, in its order.
bool is_valid_solicitation(std::span<const std::byte> l4, const std::byte* ip, bool from_nobody,
                           bool to_solicited) {
  if (load_u8(ip + 7) != 255 || load_u8(l4.data() + 1) != 0 || l4.size() < kSolicitation) return false;
  if (load_u8(l4.data() + 8) == 0xff) return false;
  if (from_nobody && !to_solicited) return false;
  for (auto options = l4.subspan(kSolicitation); !options.empty();) {
    if (options.size() < 2) return false;
    const std::size_t length = load_u8(options.data() + 1) * 8u;
    if (length == 0 || length > options.size()) return false;
    if (from_nobody && load_u8(options.data()) == 1 /* source link-layer address */) return false;
    options = options.subspan(length);
  }
  return true;
}

void parse_icmp_v6(ParsedFrame& parsed, std::span<const std::byte> l4, const Received& received,
                   bool to_solicited) {
  constexpr std::uint8_t kEchoRequest = 128;
  constexpr std::uint8_t kNeighbourSolicitation = 135;
  const std::byte* ip = parsed.frame.ip();
  const bool from_nobody = is_unspecified(ip + 8);
  if (l4.size() < kIcmpEcho) return drop(parsed, Counter::icmp_ignored);
  const std::uint8_t type = load_u8(l4.data());
  const bool solicitation = type == kNeighbourSolicitation;
  if (!is_answerable_ipv6(received.port, ip + 8) && !(solicitation && from_nobody))
    return drop(parsed, Counter::source_invalid);
  if (!checksum_is_good(pseudo_header_v6(ip + 8, kProtocolIcmpV6, l4.size()) +
                        sum_bytes(l4.data(), l4.size())))
    return drop(parsed, Counter::icmp_ignored);
  parsed.frame.payload = l4;
  if (solicitation && is_valid_solicitation(l4, ip, from_nobody, to_solicited) &&
      is_our_ipv6(received.port, l4.data() + 8))
    return take(parsed, FrameKind::neighbour_solicitation);
  if (type == kEchoRequest && load_u8(l4.data() + 1) == 0 && !to_solicited && !received.to_group)
    return take(parsed, FrameKind::echo_request_v6);
  return drop(parsed, Counter::icmp_ignored);
}

void parse_ipv6(ParsedFrame& parsed, std::span<const std::byte> l3, const Received& received) {
  if (l3.size() < kIpv6) return drop(parsed, Counter::frame_truncated);
  const std::byte* ip = l3.data();
  if (load_u8(ip) >> 4 != 6) return drop(parsed, Counter::ip_malformed);
  const std::size_t length = load_be16(ip + 4);
  if (length > l3.size() - kIpv6) return drop(parsed, Counter::frame_truncated);
  const std::uint8_t next = load_u8(ip + 6);
  const bool to_solicited = next == kProtocolIcmpV6 && is_our_solicited_node(received.port, ip + 24);
  if (!to_solicited && !is_our_ipv6(received.port, ip + 24)) return drop(parsed, Counter::ip_not_for_us);
  if (next == kNextFragment) return drop(parsed, Counter::ip_fragment);

  parsed.frame.ip_version = 6;
  parsed.frame.l3_length = kIpv6;
  const auto l4 = l3.subspan(kIpv6, length);
  if (next == kProtocolIcmpV6) return parse_icmp_v6(parsed, l4, received, to_solicited);
  if (received.to_group) return drop(parsed, Counter::frame_not_for_us);
  if (!is_answerable_ipv6(received.port, ip + 8)) return drop(parsed, Counter::source_invalid);
  if (next != kProtocolUdp) return drop(parsed, Counter::ip_protocol_unknown);  // extension headers too
  return parse_udp(parsed, l4, pseudo_header_v6(ip + 8, kProtocolUdp, l4.size()), received);
}

/// RFC 826, and RFC 5227 for a sender address of zero, which is a probe and is answered.
void parse_arp(ParsedFrame& parsed, std::span<const std::byte> l3, const Received& received) {
  constexpr std::uint8_t request[8] = {0, 1, 0x08, 0x00, 6, 4, 0, 1};  // Ethernet, IPv4, lengths, "who has"
  if (l3.size() < kArp) return drop(parsed, Counter::frame_truncated);
  const std::byte* arp = l3.data();
  const bool probe = load_native32(arp + 14) == 0;
  if (std::memcmp(arp, request, sizeof request) != 0 || (load_u8(arp + 8) & 1) != 0 ||
      !is_our_ipv4(received.port, arp + 24) || (!probe && !is_answerable_ipv4(received.port, arp + 14)))
    return drop(parsed, Counter::icmp_ignored);
  parsed.frame.payload = l3.first(kArp);
  return take(parsed, FrameKind::arp_request);
}

/// Ethernet and VLAN.
void parse_ethernet(ParsedFrame& parsed, std::span<const std::byte> bytes, Received& received) {
  if (bytes.size() < kEthernet) return drop(parsed, Counter::frame_truncated);
  const PortIdentity& port = received.port;
  const std::byte* start = bytes.data();
  received.to_group = (load_u8(start) & 1) != 0;
  if (!received.to_group && std::memcmp(start, port.mac.data(), 6) != 0)
    return drop(parsed, Counter::frame_not_for_us);
  if ((load_u8(start + 6) & 1) != 0 || std::memcmp(start + 6, port.mac.data(), 6) == 0)
    return drop(parsed, Counter::source_invalid);

  Frame& frame = parsed.frame;
  frame.start = start;
  frame.length = static_cast<std::uint32_t>(bytes.size());
  frame.l2_length = kEthernet;
  std::uint16_t type = load_be16(start + 12);
  if (type == kEtherVlan) {
    if (bytes.size() < kEthernet + kVlanTag) return drop(parsed, Counter::frame_truncated);
    frame.vlan = true;
    frame.vlan_tci = load_be16(start + 14);
    frame.l2_length = kEthernet + kVlanTag;
    type = load_be16(start + 16);
    if (type == kEtherVlan) return drop(parsed, Counter::vlan_nested);
  }
  const auto l3 = bytes.subspan(frame.l2_length);
  switch (type) {
    case kEtherIpv4:
      return parse_ipv4(parsed, l3, received);
    case kEtherIpv6:
      return parse_ipv6(parsed, l3, received);
    case kEtherArp:
      return parse_arp(parsed, l3, received);
    case kEtherServiceTag:
    case kEtherOldServiceTag:
      return drop(parsed, Counter::vlan_nested);
    default:
      return drop(parsed, Counter::ethertype_unknown);
  }
}

}  // namespace

ParsedFrame parse_frame(std::span<const std::byte> bytes, const PortIdentity& port, ChecksumStatus ip,
                        ChecksumStatus l4) noexcept {
  ParsedFrame parsed{FrameKind::dropped, Counter::rx_packets, {}};
  Received received{port, ip, l4, false};
  parse_ethernet(parsed, bytes, received);
  return parsed;
}

}  // namespace pgrid::dataplane
