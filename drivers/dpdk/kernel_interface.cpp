#include "drivers/dpdk/kernel_interface.hpp"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "drivers/base/unique_fd.hpp"

namespace pgrid::dpdk {
namespace {

/// Receive queues as `ethtool -l` shows them.
struct Queues {
  bool are_combined = false;    // the driver has receive and transmit queues in pairs; veth, for one, has not
  std::uint32_t bindable = 1;   // that net_af_xdp offers: it counts pairs, and one where there are none
  std::uint32_t receiving = 1;  // on which frames may arrive
};

Queues queues_of(int socket, ifreq request) {
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  request.ifr_data = reinterpret_cast<char*>(&channels);
  if (::ioctl(socket, SIOCETHTOOL, &request) != 0) return {};
  const std::uint32_t receiving = std::max(1u, channels.combined_count + channels.rx_count);
  if (channels.max_combined == 0) return {.receiving = receiving};
  return {.are_combined = true, .bindable = channels.combined_count, .receiving = receiving};
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

  const Queues there = queues_of(socket.get(), request);
  const std::uint32_t wanted = spec.start_queue + queues;
  if (wanted > there.bindable && !there.are_combined)
    return fail(Errc::unsupported, operation,
                "the interface has no combined queues (ethtool -l " + spec.interface +
                    "), so DPDK's driver serves its first queue alone, and " + queues_text(wanted) +
                    (wanted == 1 ? " is" : " are") + " needed",
                "use one poll core, or an interface that has combined queues");
  if (wanted > there.bindable)
    return fail(
        Errc::unsupported, operation,
        "the interface has " + queues_text(there.bindable) + ", and " + queues_text(wanted) + " are needed",
        "use fewer poll cores, or ethtool -L " + spec.interface + " combined " + std::to_string(wanted));
  if (there.receiving > queues && !spec.start_queue_chosen)
    return fail(Errc::unsupported, operation,
                "the interface has " + queues_text(there.receiving) + ", and there " +
                    (queues == 1 ? "is 1 poll core" : "are " + std::to_string(queues) + " poll cores") +
                    ": frames on the other queues would never arrive",
                "ethtool -L " + spec.interface + (there.are_combined ? " combined " : " rx ") +
                    std::to_string(queues) + ", or steer frames to one queue and write start_queue=N");
  return {};
}

}  // namespace pgrid::dpdk
