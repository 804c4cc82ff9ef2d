// The NIC ports of a node: from node.toml to started ports and who we are on each.
#pragma once

#include <string>
#include <vector>

#include "dataplane/dpdk_io.hpp"
#include "drivers/base/result.hpp"
#include "drivers/config/node_config.hpp"
#include "drivers/dpdk/eth_port.hpp"
#include "drivers/dpdk/mbuf_pool.hpp"

namespace pgrid::dataplane {

struct ServedPort {
  dpdk::EthPort port;
  PortIdentity identity;
  /// Only where hardware does it: a TAP driver sums in software, and dearer than we
  /// do while copying the body.
  [[nodiscard]] bool offloads_checksums() const {
    return port.spec().kind == dpdk::DeviceKind::pci && port.offloads().tx_ip && port.offloads().tx_udp;
  }
};

/// Opens and starts every port, with one queue pair per poll core, and gives the kernel's
/// end of a TAP its addresses.
[[nodiscard]] Result<std::vector<ServedPort>> open_ports(const config::NodeConfig& config,
                                                         const dpdk::MbufPool& rx_pool);

/// The ports as poll core `index` sees them.
[[nodiscard]] DpdkIo poll_core_io(const std::vector<ServedPort>& ports, std::uint16_t index,
                                  const dpdk::MbufPool& answers);

}  // namespace pgrid::dataplane
