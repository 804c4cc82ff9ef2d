// What a received frame is: checks of Ethernet, VLAN, IP and UDP, and of the node's own small protocols. Pure
// functions over bytes; nothing behind the span is read.
//
// The order of checks is the order of headers, so a counter names the outermost thing that is wrong.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "abi/shared/counters.hpp"

namespace pgrid::dataplane {

using MacAddress = std::array<std::uint8_t, 6>;
using Ipv4Address = std::array<std::uint8_t, 4>;  // network order
using Ipv6Address = std::array<std::uint8_t, 16>;

inline constexpr std::size_t kPortAddressesMax = 8;  // of each IP version

/// What the NIC says about a checksum.
enum class ChecksumStatus : std::uint8_t { unknown, good, bad };

/// Who we are on one port. Constant while the port serves.
struct PortIdentity {
  MacAddress mac{};
  std::array<Ipv4Address, kPortAddressesMax> ipv4{};
  std::array<Ipv6Address, kPortAddressesMax> ipv6{};
  std::uint8_t nb_ipv4 = 0;
  std::uint8_t nb_ipv6 = 0;
  std::uint16_t udp_port = 4646;  // host order
  bool trust_checksums = false;   // rx_checksum = "trust": what the NIC does not know counts as good
  bool kernel_answers = false;    // the kernel keeps ARP, NDP and ping of this interface: we stay silent
};

enum class FrameKind : std::uint8_t {
  message,                 // UDP to our port; `payload` is the UDP payload
  arp_request,             // for an address of ours; `payload` is the ARP packet
  neighbour_solicitation,  // for an address of ours; `payload` is the ICMPv6 message
  echo_request_v4,         // `payload` is the ICMP message
  echo_request_v6,
  dropped,
};

/// Where things lie in a frame. Borrows the frame's bytes.
struct Frame {
  const std::byte* start = nullptr;
  std::uint32_t length = 0;     // bytes received, Ethernet padding included
  std::uint16_t l2_length = 0;  // 14, or 18 with a VLAN tag
  std::uint16_t l3_length = 0;  // IP header with options; 0 for ARP
  std::uint16_t vlan_tci = 0;   // host order
  std::uint8_t ip_version = 0;  // 4 or 6; 0 for ARP
  bool vlan = false;
  std::span<const std::byte> payload;

  [[nodiscard]] const std::byte* ip() const noexcept { return start + l2_length; }
  [[nodiscard]] const std::byte* l4() const noexcept { return start + l2_length + l3_length; }
  [[nodiscard]] std::span<const std::byte, 6> destination_mac() const noexcept {
    return std::span<const std::byte, 6>(start, 6);
  }
  [[nodiscard]] std::span<const std::byte, 6> source_mac() const noexcept {
    return std::span<const std::byte, 6>(start + 6, 6);
  }
  /// 4 or 16 bytes, network order.
  [[nodiscard]] std::span<const std::byte> source_address() const noexcept {
    return ip_version == 4 ? std::span(ip() + 12, 4) : std::span(ip() + 8, 16);
  }
  [[nodiscard]] std::span<const std::byte> destination_address() const noexcept {
    return ip_version == 4 ? std::span(ip() + 16, 4) : std::span(ip() + 24, 16);
  }
  /// Host order. REQUIRES: kind message.
  [[nodiscard]] std::uint16_t source_port() const noexcept { return port_at(l4()); }
  [[nodiscard]] std::uint16_t destination_port() const noexcept { return port_at(l4() + 2); }

 private:
  static std::uint16_t port_at(const std::byte* p) noexcept {
    return static_cast<std::uint16_t>(std::to_integer<unsigned>(p[0]) << 8 | std::to_integer<unsigned>(p[1]));
  }
};

struct ParsedFrame {
  FrameKind kind;
  abi::Counter drop;  // of kind dropped: why
  Frame frame;        // of every other kind
};

/// Looks at one received frame. `ip` and `l4` are what the NIC found about the IPv4 header checksum and the
/// UDP checksum: good is believed, bad is dropped, unknown is computed here unless the port trusts.
[[nodiscard]] ParsedFrame parse_frame(std::span<const std::byte> bytes, const PortIdentity& port,
                                      ChecksumStatus ip, ChecksumStatus l4) noexcept;

}  // namespace pgrid::dataplane
