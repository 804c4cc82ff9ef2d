#include "drivers/dpdk/tap_host.hpp"

#include <linux/if_addr.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "drivers/dpdk/device_spec.hpp"
#include "drivers/dpdk/rtnetlink.hpp"

namespace pgrid::dpdk {
namespace {

constexpr const char* kNeedsPrivilege = "run as root, or give the program CAP_NET_ADMIN";

std::size_t size_of(const HostAddress& address) { return address.is_v4 ? 4 : 16; }

bool same(const HostAddress& a, const HostAddress& b) {
  return a.is_v4 == b.is_v4 && a.prefix == b.prefix && std::equal(a.bytes, a.bytes + size_of(a), b.bytes);
}

bool is_link_local_v6(const HostAddress& address) {
  return !address.is_v4 && address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;  // fe80::/10
}

ifaddrmsg message_for(const HostAddress& address, unsigned index) {
  ifaddrmsg fixed{};
  fixed.ifa_family = address.is_v4 ? AF_INET : AF_INET6;
  fixed.ifa_prefixlen = address.prefix;
  fixed.ifa_flags = address.is_v4 ? 0 : IFA_F_NODAD;
  fixed.ifa_index = index;
  return fixed;
}

int change_address(RouteSocket& socket, std::uint16_t type, unsigned index, const HostAddress& address) {
  const bool add = type == RTM_NEWADDR;
  NetlinkRequest request(type, add ? NLM_F_CREATE | NLM_F_REPLACE : 0, message_for(address, index));
  request.attribute(IFA_LOCAL, address.bytes, size_of(address));
  request.attribute(IFA_ADDRESS, address.bytes, size_of(address));
  return socket.request(request.header());
}

/// What the interface has now.
int addresses_of(RouteSocket& socket, unsigned index, std::vector<HostAddress>& found) {
  NetlinkRequest request(RTM_GETADDR, 0, ifaddrmsg{});
  return socket.dump(request.header(), [&](const nlmsghdr& answer) {
    if (answer.nlmsg_type != RTM_NEWADDR) return;
    const auto* fixed = static_cast<const ifaddrmsg*>(NLMSG_DATA(&answer));
    if (fixed->ifa_index != index || (fixed->ifa_family != AF_INET && fixed->ifa_family != AF_INET6)) return;
    HostAddress address{.prefix = fixed->ifa_prefixlen, .is_v4 = fixed->ifa_family == AF_INET};
    auto left = static_cast<std::uint32_t>(IFA_PAYLOAD(&answer));
    for (const rtattr* a = IFA_RTA(fixed); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
      // IFA_LOCAL is the address itself; on ordinary interfaces, and always for IPv6, IFA_ADDRESS is the
      // same.
      const bool wanted = address.is_v4 ? a->rta_type == IFA_LOCAL : a->rta_type == IFA_ADDRESS;
      if (wanted && RTA_PAYLOAD(a) == size_of(address))
        std::memcpy(address.bytes, RTA_DATA(a), size_of(address));
    }
    found.push_back(address);
  });
}

int bring_up(RouteSocket& socket, unsigned index) {
  ifinfomsg fixed{};
  fixed.ifi_index = static_cast<int>(index);
  fixed.ifi_flags = IFF_UP;
  fixed.ifi_change = IFF_UP;
  NetlinkRequest request(RTM_NEWLINK, 0, fixed);
  return socket.request(request.header());
}

/// Whether the kernel takes packets to this address for its own. For a new IPv6 address that is a moment
/// later than the request: the local route is made by a work queue.
bool is_local(RouteSocket& socket, const HostAddress& address) {
  rtmsg fixed{};
  fixed.rtm_family = address.is_v4 ? AF_INET : AF_INET6;
  fixed.rtm_dst_len = static_cast<std::uint8_t>(size_of(address) * 8);
  NetlinkRequest request(RTM_GETROUTE, 0, fixed);
  request.attribute(RTA_DST, address.bytes, size_of(address));
  bool local = false;
  const int failed = socket.request(request.header(), [&](const nlmsghdr& answer) {
    local = answer.nlmsg_type == RTM_NEWROUTE &&
            static_cast<const rtmsg*>(NLMSG_DATA(&answer))->rtm_type == RTN_LOCAL;
  });
  return failed == 0 && local;
}

/// Polls for at most a second; normally one turn.
bool wait_until_local(RouteSocket& socket, const HostAddress& address) {
  for (int turn = 0; turn < 1000; ++turn) {
    if (is_local(socket, address)) return true;
    ::usleep(1000);
  }
  return false;
}

Result<void> refused(const std::string& operation, int error_number) {
  return fail_errno(operation, error_number, error_number == EPERM ? kNeedsPrivilege : "");
}

}  // namespace

Result<void> check_interface_free(const std::string& interface) {
  if (auto valid = check_interface_name(interface); !valid) return valid;
  if (::if_nametoindex(interface.c_str()) != 0)
    return fail(
        Errc::already_exists, "make TAP interface " + interface, "an interface of that name exists",
        "choose another name, or stop the node that has it (a left-over one: ip link del " + interface + ")");
  return {};
}

Result<void> set_host_addresses(const std::string& interface, std::span<const HostAddress> addresses) {
  const std::string operation = "set addresses of interface " + interface;
  const unsigned index = ::if_nametoindex(interface.c_str());
  if (index == 0) return fail(Errc::not_found, operation, "there is no such interface");
  for (const HostAddress& address : addresses)
    if (address.prefix > (address.is_v4 ? 32 : 128))
      return fail(Errc::invalid_argument, operation,
                  "a prefix of " + std::to_string(address.prefix) + " bits");

  Result<RouteSocket> socket = RouteSocket::open();
  if (!socket) return std::unexpected(socket.error());
  if (const int failed = bring_up(*socket, index); failed != 0)
    return refused(operation + ": bring it up", failed);
  std::vector<HostAddress> present;
  if (const int failed = addresses_of(*socket, index, present); failed != 0)
    return refused(operation + ": read the present ones", failed);

  for (const HostAddress& old : present) {
    const bool keep =
        is_link_local_v6(old) ||
        std::any_of(addresses.begin(), addresses.end(), [&](const HostAddress& a) { return same(a, old); });
    // Taking away an IPv4 primary address takes its secondaries along: one may be gone already.
    const int failed = keep ? 0 : change_address(*socket, RTM_DELADDR, index, old);
    if (failed != 0 && failed != EADDRNOTAVAIL) return refused(operation + ": take an old one away", failed);
  }
  for (const HostAddress& address : addresses)
    if (const int failed = change_address(*socket, RTM_NEWADDR, index, address); failed != 0)
      return refused(operation, failed);
  for (const HostAddress& address : addresses)
    if (!wait_until_local(*socket, address))
      return fail(Errc::timed_out, operation, "the kernel did not make an address usable within 1 s");
  return {};
}

}  // namespace pgrid::dpdk
