// An ordinary kernel UDP socket, connected to one node.
#pragma once

#include <cstdint>
#include <string>

#include "drivers/base/result.hpp"
#include "drivers/base/unique_fd.hpp"

namespace pgrid::tools {

/// "HOST", "HOST:PORT", "[2001:db8::1]:PORT" or a bare IPv6 address; `port` is used when none is given.
struct HostPort {
  std::string host;
  std::uint16_t port;
};
[[nodiscard]] Result<HostPort> parse_host_port(const std::string& text, std::uint16_t port);

/// Non-blocking, closed on exec, IPv4 or IPv6 as the host's address is. Only datagrams from that address and port arrive.
[[nodiscard]] Result<UniqueFd> connect_udp(const HostPort& to);

}  // namespace pgrid::tools
