// The two Ethernet addresses of a TAP port.
//
// net_tap gives the kernel's interface and the DPDK port one and the same address. Talking to the kernel
// works that way (it does not mind a neighbour with its own address), but a bridge does not: it takes frames
// to a member's own address for the host. So the node answers with an address of its own, which net_tap,
// having no filter, receives as well.
//
// Both are made from names, so that a restarted node keeps them and neighbours' caches stay right.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace pgrid::dpdk {

using MacAddress = std::array<std::uint8_t, 6>;

/// For the kernel's end: locally administered, unicast, last bit 0. The same on every start of the same node
/// on the same machine (/etc/machine-id).
[[nodiscard]] MacAddress tap_host_mac(const std::string& node_name, const std::string& interface);

/// For the node: the kernel's end with the last bit turned.
[[nodiscard]] constexpr MacAddress tap_node_mac(MacAddress host) {
  host[5] ^= 1;
  return host;
}

}  // namespace pgrid::dpdk
