// The kernel's end of a TAP interface: its name, its addresses. Plain rtnetlink; needs no EAL.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "drivers/base/result.hpp"

namespace pgrid::dpdk {

/// An address of the kernel's end. `bytes`: 4 used for IPv4, 16 for IPv6, network order.
struct HostAddress {
  std::uint8_t bytes[16] = {};
  std::uint8_t prefix = 0;  // bits
  bool is_v4 = false;
};

/// Whether a TAP interface of this name can be made now: a valid name that no interface has yet.
[[nodiscard]] Result<void> check_interface_free(const std::string& interface);

/// Brings the interface up and gives it exactly these addresses: others (link-local ones excepted) are taken
/// away. All are usable when this returns (for IPv6 without duplicate address detection: the other end of a
/// TAP is this node).
[[nodiscard]] Result<void> set_host_addresses(const std::string& interface,
                                              std::span<const HostAddress> addresses);

}  // namespace pgrid::dpdk
