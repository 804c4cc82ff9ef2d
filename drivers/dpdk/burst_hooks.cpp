#include "drivers/dpdk/burst_hooks.hpp"

#include <rte_errno.h>
#include <rte_ethdev.h>

#include <algorithm>

namespace pgrid::dpdk {
namespace {

std::uint16_t on_receive(std::uint16_t, std::uint16_t, rte_mbuf** mbufs, std::uint16_t count,
                         std::uint16_t room, void* hook) noexcept {
  return static_cast<BurstHook*>(hook)->received(mbufs, count, room);
}

std::uint16_t on_send(std::uint16_t, std::uint16_t, rte_mbuf** mbufs, std::uint16_t count,
                      void* hook) noexcept {
  static_cast<BurstHook*>(hook)->sending({mbufs, count});
  return count;
}

std::string port_name(std::uint16_t port_id) { return "port " + std::to_string(port_id); }

}  // namespace

Result<void> hook_bursts(std::uint16_t port_id, std::uint16_t queue_id, BurstHook& hook) {
  if (rte_eth_add_rx_callback(port_id, queue_id, &on_receive, &hook) == nullptr)
    return fail(Errc::unsupported, port_name(port_id) + ": rte_eth_add_rx_callback", rte_strerror(rte_errno));
  if (rte_eth_add_tx_callback(port_id, queue_id, &on_send, &hook) == nullptr)
    return fail(Errc::unsupported, port_name(port_id) + ": rte_eth_add_tx_callback", rte_strerror(rte_errno));
  return {};
}

Result<MacAddress> mac_of(std::uint16_t port_id) {
  rte_ether_addr address{};
  if (const int failed = rte_eth_macaddr_get(port_id, &address); failed != 0)
    return fail(Errc::not_found, port_name(port_id) + ": rte_eth_macaddr_get", rte_strerror(-failed));
  MacAddress mac{};
  std::copy_n(address.addr_bytes, mac.size(), mac.begin());
  return mac;
}

Result<rte_mempool*> find_pool(const std::string& name) {
  rte_mempool* pool = rte_mempool_lookup(name.c_str());
  if (pool == nullptr) return fail(Errc::not_found, "pool " + name, rte_strerror(rte_errno));
  return pool;
}

}  // namespace pgrid::dpdk
