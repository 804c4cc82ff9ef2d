// A NIC port: probed, configured, started; stopped and removed by its destructor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "drivers/base/result.hpp"
#include "drivers/bpf/steering.hpp"
#include "drivers/dpdk/device_spec.hpp"
#include "drivers/dpdk/mbuf_pool.hpp"
#include "drivers/dpdk/port_mac.hpp"
#include "drivers/dpdk/rx_queue.hpp"
#include "drivers/dpdk/tx_queue.hpp"

namespace pgrid::dpdk {

/// "02:70:67:00:00:01"
[[nodiscard]] std::string to_string(const MacAddress& mac);

struct EthPortOptions {
  std::string node_name = "pgrid";  // part of what a TAP port's addresses are made from
  std::uint16_t queues = 1;         // receive queues, and as many transmit queues: one of each per poll core
  std::uint16_t rx_descriptors = 1024;  // per queue; adjusted to what the driver takes
  std::uint16_t tx_descriptors = 1024;
  std::uint16_t mtu = 1500;       // bytes of IP packet
  std::uint16_t udp_port = 4646;  // host order: what an af_xdp port takes from its interface
};

/// What the driver does for us; everything else is done in software.
struct Offloads {
  bool rx_ip = false;   // checks IPv4 header checksums
  bool rx_udp = false;  // checks UDP checksums
  bool tx_ip = false;   // fills in IPv4 header checksums
  bool tx_udp = false;  // fills in UDP checksums, over the pseudo-header's sum that it finds in the field
  bool fast_free =
      false;  // frees sent mbufs without looking: only where all come from one pool (we never ask for it)
  bool rss = false;  // spreads flows over the receive queues
};

/// As the driver counts them.
struct PortStats {
  std::uint64_t rx_packets = 0, rx_bytes = 0;
  std::uint64_t tx_packets = 0, tx_bytes = 0;
  std::uint64_t rx_missed = 0;  // dropped by the NIC: its ring was full, poll cores are too slow
  std::uint64_t rx_errors = 0;  // frames that the NIC refused
  std::uint64_t rx_nombuf = 0;  // no mbuf was left to receive into
  std::uint64_t tx_errors = 0;
};

struct LinkState {
  bool up = false;
  std::uint32_t speed_mbps = 0;  // 0: unknown
};

/// Owns one DPDK port. Made, started and stopped by the main lcore, while no lcore polls it. Queues are lent
/// as plain values. The pool it receives into must outlive it.
class EthPort {
 public:
  /// Probes, configures and sets up the queues; does not start.
  [[nodiscard]] static Result<EthPort> create(const DeviceSpec& spec, const EthPortOptions& options,
                                              const MbufPool& rx_pool);
  EthPort(EthPort&& other) noexcept;
  EthPort& operator=(EthPort&& other) noexcept;
  /// Stops, closes and removes the device; a TAP interface is gone then.
  ~EthPort();

  [[nodiscard]] Result<void> start();
  /// Stops receiving and sending; mbufs in the driver's rings go back when the port is destroyed.
  void stop();

  [[nodiscard]] RxQueue rx_queue(std::uint16_t queue_id) const { return {port_id_, queue_id}; }
  [[nodiscard]] TxQueue tx_queue(std::uint16_t queue_id) const { return {port_id_, queue_id}; }
  [[nodiscard]] std::uint16_t queues() const { return queues_; }

  [[nodiscard]] std::uint16_t port_id() const { return port_id_; }
  [[nodiscard]] const DeviceSpec& spec() const { return spec_; }
  /// The driver: "net_tap", "net_ixgbe".
  [[nodiscard]] const std::string& driver() const { return driver_; }
  /// The address that the node answers with. On a TAP port it differs from the kernel's end in its last bit.
  [[nodiscard]] const MacAddress& mac() const { return mac_; }
  [[nodiscard]] const Offloads& offloads() const { return offloads_; }
  /// As set up, after the driver's limits.
  [[nodiscard]] std::uint16_t rx_descriptors() const { return rx_descriptors_; }
  [[nodiscard]] std::uint16_t tx_descriptors() const { return tx_descriptors_; }
  /// mbufs that the driver keeps for receiving, over all queues: part of the pool's sum.
  [[nodiscard]] std::uint32_t rx_mbufs() const { return std::uint32_t{rx_descriptors_} * queues_; }

  [[nodiscard]] LinkState link() const;
  [[nodiscard]] PortStats stats() const;

 private:
  EthPort() = default;
  [[nodiscard]] Result<void> configure(const EthPortOptions& options, const MbufPool& rx_pool);

  static constexpr std::uint16_t kNone = 0xffff;
  std::uint16_t port_id_ = kNone;
  bool started_ = false;
  std::uint16_t queues_ = 0;
  std::uint16_t rx_descriptors_ = 0;
  std::uint16_t tx_descriptors_ = 0;
  DeviceSpec spec_;
  std::string driver_;
  MacAddress mac_{};
  Offloads offloads_;
  std::optional<bpf::XdpSteering> steering_;  // af_xdp, once configured; let go after the device is closed
};

/// mbufs of the receive pool that the driver of such a port holds on to, over all queues and beyond its
/// descriptors: part of the pool's sum. Reads the file of an infinite pcap port.
[[nodiscard]] Result<std::uint32_t> mbufs_held_by_driver(const DeviceSpec& spec, std::uint16_t queues);

}  // namespace pgrid::dpdk
