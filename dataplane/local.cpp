#include "dataplane/local.hpp"

#include <algorithm>
#include <cstring>

#include "dataplane/bytes.hpp"
#include "dataplane/checksum.hpp"

namespace pgrid::dataplane {
namespace {

constexpr std::uint8_t kHopLimit = 64;
constexpr std::size_t kAdvertisement = 24;       // ICMPv6 header, flags, target
constexpr std::size_t kTargetAddressOption = 8;  // type, length in units of 8, MAC address

void set_u8(std::byte* p, std::uint8_t value) { *p = std::byte{value}; }

void return_to_sender(std::byte* ethernet, const PortIdentity& port) {
  std::memcpy(ethernet, ethernet + 6, 6);
  std::memcpy(ethernet + 6, port.mac.data(), 6);
}

std::size_t answer_arp(std::byte* ethernet, std::byte* arp, const PortIdentity& port) {
  return_to_sender(ethernet, port);
  set_u8(arp + 7, 2);  // "is at"
  std::byte target[4];
  std::memcpy(target, arp + 24, 4);
  std::memcpy(arp + 18, arp + 8, 10);  // its target is who asked
  std::memcpy(arp + 8, port.mac.data(), 6);
  std::memcpy(arp + 14, target, 4);
  return 28;
}

std::size_t answer_echo_v4(std::byte* ethernet, std::byte* ip, std::size_t icmp_length,
                           const PortIdentity& port) {
  return_to_sender(ethernet, port);
  std::byte* icmp = ip + 20;
  std::swap_ranges(ip + 12, ip + 16, ip + 16);
  set_u8(ip + 8, kHopLimit);
  store_native16(ip + 10, 0);
  store_native16(ip + 10, checksum_of(sum_bytes(ip, 20)));
  set_u8(icmp, 0);  // echo reply
  store_native16(icmp + 2, 0);
  store_native16(icmp + 2, checksum_of(sum_bytes(icmp, icmp_length)));
  return 20 + icmp_length;
}

void seal_icmp_v6(std::byte* ip, std::size_t icmp_length) {
  std::byte* icmp = ip + 40;
  store_be16(ip + 4, static_cast<std::uint16_t>(icmp_length));
  store_native16(icmp + 2, 0);
  const ChecksumSum sum =
      pseudo_header_v6(ip + 8, kProtocolIcmpV6, icmp_length) + sum_bytes(icmp, icmp_length);
  store_native16(icmp + 2, checksum_of(sum));
}

std::size_t answer_echo_v6(std::byte* ethernet, std::byte* ip, std::size_t icmp_length,
                           const PortIdentity& port) {
  return_to_sender(ethernet, port);
  std::swap_ranges(ip + 8, ip + 24, ip + 24);
  set_u8(ip + 7, kHopLimit);
  set_u8(ip + 40, 129);  // echo reply
  seal_icmp_v6(ip, icmp_length);
  return 40 + icmp_length;
}

/// RFC 4861 sections 4.4 and 7.2.4. `room` is how many bytes may be written from the IPv6 header on.
std::size_t answer_solicitation(std::byte* ethernet, std::byte* ip, std::size_t room,
                                const PortIdentity& port) {
  constexpr std::uint8_t all_nodes[16] = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  constexpr std::uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
  constexpr std::uint8_t kSolicited = 0x40;
  constexpr std::uint8_t kOverride = 0x20;
  std::byte* icmp = ip + 40;
  const bool to_group = load_u8(ip + 24) == 0xff;
  const bool from_nobody = (load_native64(ip + 8) | load_native64(ip + 16)) == 0;
  const bool with_address = room >= 40 + kAdvertisement + kTargetAddressOption;
  if (!with_address && to_group)
    return 0;  // the option may be left out only when the asker knows our MAC address

  return_to_sender(ethernet, port);
  std::byte target[16];
  std::memcpy(target, icmp + 8, 16);
  if (from_nobody) {  // somebody tries out our address: tell everybody
    std::memcpy(ethernet, all_nodes_mac, 6);
    std::memcpy(ip + 24, all_nodes, 16);
  } else {
    std::memcpy(ip + 24, ip + 8, 16);
  }
  std::memcpy(ip + 8, target, 16);  // the hop limit stays 255
  set_u8(icmp, 136);
  set_u8(icmp + 1, 0);
  set_u8(icmp + 4, from_nobody ? kOverride : kSolicited | kOverride);
  std::memset(icmp + 5, 0, 3);
  std::size_t length = kAdvertisement;
  if (with_address) {
    set_u8(icmp + 24, 2);  // target link-layer address
    set_u8(icmp + 25, 1);
    std::memcpy(icmp + 26, port.mac.data(), 6);
    length += kTargetAddressOption;
  }
  seal_icmp_v6(ip, length);
  return 40 + length;
}

}  // namespace

std::size_t answer_in_place(std::span<std::byte> frame, const ParsedFrame& parsed,
                            const PortIdentity& port) noexcept {
  if (parsed.kind == FrameKind::message || parsed.kind == FrameKind::dropped) return 0;
  const Frame& request = parsed.frame;
  if (frame.size() < request.length) return 0;
  std::byte* ethernet = frame.data();
  std::byte* l3 = ethernet + request.l2_length;
  std::size_t length = 0;
  switch (parsed.kind) {
    case FrameKind::arp_request:
      length = answer_arp(ethernet, l3, port);
      break;
    case FrameKind::echo_request_v4:
      length = answer_echo_v4(ethernet, l3, request.payload.size(), port);
      break;
    case FrameKind::echo_request_v6:
      length = answer_echo_v6(ethernet, l3, request.payload.size(), port);
      break;
    case FrameKind::neighbour_solicitation:
      length = answer_solicitation(ethernet, l3, frame.size() - request.l2_length, port);
      break;
    case FrameKind::message:
    case FrameKind::dropped:
      break;
  }
  return length == 0 ? 0 : request.l2_length + length;
}

}  // namespace pgrid::dataplane
