// Functions that stand before and behind the bursts of a queue, on the lcore that polls it: for benches that
// play the network in the node's own process. A port without them pays nothing for there being such.
#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <cstdint>
#include <span>
#include <string>

#include "drivers/base/result.hpp"
#include "drivers/dpdk/port_mac.hpp"

namespace pgrid::dpdk {

/// Must outlive its port. Both functions run on the lcore that polls the queue.
class BurstHook {
 public:
  virtual ~BurstHook() = default;
  /// Behind each rx_burst: `mbufs[0..count)` came from the driver, and there is room for `room`. Adds its own
  /// behind them and returns how many there are then.
  [[nodiscard]] virtual std::uint16_t received(rte_mbuf** mbufs, std::uint16_t count,
                                               std::uint16_t room) noexcept = 0;
  /// Before each tx_burst: what is about to be given to the driver. Lent.
  virtual void sending(std::span<rte_mbuf* const> mbufs) noexcept = 0;
};

/// For a port that was configured and does not run yet. It stays for the port's life.
[[nodiscard]] Result<void> hook_bursts(std::uint16_t port_id, std::uint16_t queue_id, BurstHook& hook);

/// The address that a port's frames must bear.
[[nodiscard]] Result<MacAddress> mac_of(std::uint16_t port_id);

/// A pool of this process, by the name that it was created with; lent.
[[nodiscard]] Result<rte_mempool*> find_pool(const std::string& name);

}  // namespace pgrid::dpdk
