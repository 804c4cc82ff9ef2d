// The NIC ports of one poll core: a queue pair of each, and the reserve that answers are written in.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "dataplane/limits.hpp"
#include "dataplane/packet_io.hpp"
#include "drivers/dpdk/mbuf_pool.hpp"
#include "drivers/dpdk/packet_burst.hpp"
#include "drivers/dpdk/packet_stash.hpp"
#include "drivers/dpdk/rx_queue.hpp"
#include "drivers/dpdk/tsc.hpp"
#include "drivers/dpdk/tx_queue.hpp"

namespace pgrid::dataplane {

struct DpdkPort {
  dpdk::RxQueue rx;
  dpdk::TxQueue tx;
  PortIdentity identity;
  bool offloads_checksums = false;  // the NIC fills in IPv4 and UDP checksums
};

/// Used by one lcore. Queues and pool are lent: ports and pool outlive it.
class DpdkIo {
 public:
  using Packet = dpdk::Packet;

  explicit DpdkIo(const dpdk::MbufPool& answers) noexcept : answers_(&answers) {}
  /// REQUIRES: fewer than kPortsMax so far.
  void add_port(const DpdkPort& port) noexcept { ports_[nb_ports_++] = port; }

  [[nodiscard]] std::uint16_t nb_ports() const noexcept { return nb_ports_; }
  [[nodiscard]] const PortIdentity& identity(std::uint16_t port) const noexcept {
    return ports_[port].identity;
  }
  [[nodiscard]] dpdk::PacketBurst rx_burst(std::uint16_t port) const noexcept {
    return ports_[port].rx.rx_burst();
  }
  [[nodiscard]] std::uint16_t tx_burst(std::uint16_t port, std::span<Packet> packets) const noexcept {
    return ports_[port].tx.tx_burst(packets);
  }
  [[nodiscard]] Packet alloc() noexcept {
    if (Packet kept = stash_.take()) [[likely]]
      return kept;
    return answers_->alloc();
  }
  void keep(dpdk::PacketBurst& burst) noexcept { stash_.keep(burst); }
  void give_back() noexcept { stash_.give_back(); }

  [[nodiscard]] bool offloads_checksums(std::uint16_t port) const noexcept {
    return ports_[port].offloads_checksums;
  }
  void ask_for_checksums(Packet& packet, const ReturnPath& path) const noexcept {
    const bool v4 = path.ip_version == 4;
    packet.set_tx_checksum_offload(path.vlan ? 18 : 14, v4 ? 20 : 40,
                                   v4 ? dpdk::L3Version::v4 : dpdk::L3Version::v6);
  }
  [[nodiscard]] static ChecksumStatus ip_checksum(const Packet& packet) noexcept {
    return status(packet.ip_checksum());
  }
  [[nodiscard]] static ChecksumStatus l4_checksum(const Packet& packet) noexcept {
    return status(packet.l4_checksum());
  }
  static void prefetch(const Packet& packet) noexcept { dpdk::prefetch_data(packet); }
  [[nodiscard]] static std::uint64_t tsc() noexcept { return dpdk::tsc(); }

 private:
  static ChecksumStatus status(dpdk::RxChecksumStatus status) noexcept {
    switch (status) {
      case dpdk::RxChecksumStatus::good:
        return ChecksumStatus::good;
      case dpdk::RxChecksumStatus::bad:
        return ChecksumStatus::bad;
      default:
        return ChecksumStatus::unknown;  // "none" too: the frame's own field decides
    }
  }
  const dpdk::MbufPool* answers_;
  dpdk::PacketStash stash_;
  std::uint16_t nb_ports_ = 0;
  std::array<DpdkPort, kPortsMax> ports_{};
};
static_assert(PacketIo<DpdkIo>);

}  // namespace pgrid::dataplane
