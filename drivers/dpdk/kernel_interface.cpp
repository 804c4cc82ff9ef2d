#include "drivers/dpdk/kernel_interface.hpp"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "drivers/base/unique_fd.hpp"

namespace pgrid::dpdk {
namespace {

/// Receive queues that AF_XDP sockets can bind to, counted the way net_af_xdp counts: an interface that knows
/// no combined channels has one.
std::uint32_t combined_queues(int socket, ifreq request) {
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  request.ifr_data = reinterpret_cast<char*>(&channels);
  const bool known = ::ioctl(socket, SIOCETHTOOL, &request) == 0 && channels.max_combined != 0;
  return known ? channels.combined_count : 1;
}

std::string queues_text(std::uint32_t count) {
  return std::to_string(count) + (count == 1 ? " queue" : " queues");
}

}  // namespace

Result<void> check_kernel_interface(const DeviceSpec& spec, std::uint16_t queues) {
  const std::string operation = "open port " + spec.text;
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(operation, errno);
  ifreq request{};
  spec.interface.copy(request.ifr_name, sizeof request.ifr_name - 1);
  if (::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0)
    return errno == ENODEV ? fail(Errc::not_found, operation, "there is no interface " + spec.interface,
                                  "`ip link` lists what there is")
                           : fail_errno(operation, errno);
  if ((request.ifr_flags & IFF_UP) == 0)
    return fail(Errc::unavailable, operation, "the interface is down",
                "ip link set " + spec.interface + " up");
  if (::ioctl(socket.get(), SIOCGIFHWADDR, &request) != 0) return fail_errno(operation, errno);
  if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
    return fail(Errc::unsupported, operation, "it is not an Ethernet interface", "use one that is");

  const std::uint32_t there = combined_queues(socket.get(), request);
  const std::uint32_t wanted = spec.start_queue + queues;
  if (wanted > there)
    return fail(
        Errc::unsupported, operation,
        "the interface has " + queues_text(there) + ", and " + queues_text(wanted) + " are needed",
        "use fewer poll cores, or ethtool -L " + spec.interface + " combined " + std::to_string(wanted));
  if (there > queues && !spec.start_queue_chosen)
    return fail(Errc::unsupported, operation,
                "the interface has " + queues_text(there) + ", and there " +
                    (queues == 1 ? "is 1 poll core" : "are " + std::to_string(queues) + " poll cores") +
                    ": frames on the other queues would never arrive",
                "ethtool -L " + spec.interface + " combined " + std::to_string(queues) +
                    ", or steer frames to one queue and write start_queue=N");
  return {};
}

}  // namespace pgrid::dpdk
