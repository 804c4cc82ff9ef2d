// One receive queue of a port, as a plain value lent by EthPort.
#pragma once

#include <rte_ethdev.h>

#include <cstdint>

#include "drivers/dpdk/packet_burst.hpp"

namespace pgrid::dpdk {

/// Used by one lcore at a time; valid until its EthPort is stopped.
struct RxQueue {
  std::uint16_t port_id = 0;
  std::uint16_t queue_id = 0;

  /// Up to kBurstMax packets, in the order of arrival; empty when none wait.
  [[nodiscard]] PacketBurst rx_burst() const noexcept {
    return PacketBurst(
        [this](rte_mbuf** mbufs) { return rte_eth_rx_burst(port_id, queue_id, mbufs, kBurstMax); });
  }
};

}  // namespace pgrid::dpdk
