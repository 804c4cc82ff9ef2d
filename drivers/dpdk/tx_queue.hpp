// One transmit queue of a port, as a plain value lent by EthPort.
#pragma once

#include <rte_ethdev.h>

#include <cstdint>
#include <span>

#include "drivers/dpdk/packet_burst.hpp"

namespace pgrid::dpdk {

/// Used by one lcore at a time; valid until its EthPort is stopped.
struct TxQueue {
  std::uint16_t port_id = 0;
  std::uint16_t queue_id = 0;

  /// Hands mbufs to the driver, which owns the first `result` of them from then on; the others stay the
  /// caller's.
  [[nodiscard]] std::uint16_t tx_burst(rte_mbuf** mbufs, std::uint16_t count) const noexcept {
    return rte_eth_tx_burst(port_id, queue_id, mbufs, count);
  }

  /// Sends from the front. Packets sent are empty afterwards; the others are untouched. REQUIRES: none empty.
  [[nodiscard]] std::uint16_t tx_burst(std::span<Packet> packets) const noexcept {
    const std::uint16_t sent = tx_burst(as_mbufs(packets.data()), static_cast<std::uint16_t>(packets.size()));
    for (std::uint16_t i = 0; i < sent; ++i) (void)Packet::release(packets[i]);
    return sent;
  }

  /// Sends a burst; what was not sent stays in it, at the front.
  [[nodiscard]] std::uint16_t tx_burst(PacketBurst& burst) const noexcept {
    return burst.hand_over([this](rte_mbuf** mbufs, std::uint16_t count) { return tx_burst(mbufs, count); });
  }
};

}  // namespace pgrid::dpdk
