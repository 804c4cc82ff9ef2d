// Mbufs of packets that were read, kept for packets that will be written.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <utility>

#include "drivers/dpdk/packet_burst.hpp"

namespace pgrid::dpdk {

/// What one lcore would give back to the receive pool and ask the pool of answers for a moment later: both trips are saved, and
/// the mbuf's lines are still in the cache (before and after: bench/README.md). Last in, first out. Only plain mbufs are kept:
/// one segment, one owner, memory of their own. Owned by that lcore; empty before its ports stop.
class PacketStash {
 public:
  static constexpr std::uint32_t kCapacity = 4 * kBurstMax;  // what a poll core receives in one turn

  PacketStash() = default;
  /// Begins empty: what is kept stays where it is.
  PacketStash(const PacketStash&) noexcept : PacketStash() {}
  PacketStash& operator=(const PacketStash&) = delete;
  ~PacketStash() { give_back(); }

  /// Takes from a burst what is left of it and fits; the rest stays there.
  void keep(PacketBurst& burst) noexcept {
    for (Packet& packet : burst) {
      if (count_ == kCapacity) return;
      if (packet && is_plain(*packet.mbuf())) mbufs_[count_++] = Packet::release(packet);
    }
  }
  /// A packet of length 0, or an empty Packet when nothing is kept.
  [[nodiscard]] Packet take() noexcept {
    if (count_ == 0) return {};
    rte_mbuf* const mbuf = mbufs_[--count_];
    mbuf->data_off = RTE_PKTMBUF_HEADROOM;
    mbuf->ol_flags = 0;  // and with it vlan_tci and tx_offload mean nothing
    mbuf->data_len = 0;
    mbuf->pkt_len = 0;
    return Packet(mbuf);
  }
  /// To their pools.
  void give_back() noexcept {
    if (count_ != 0) rte_pktmbuf_free_bulk(mbufs_, std::exchange(count_, 0));
  }
  [[nodiscard]] std::uint32_t size() const noexcept { return count_; }

 private:
  static bool is_plain(const rte_mbuf& mbuf) noexcept {
    return rte_mbuf_refcnt_read(&mbuf) == 1 && mbuf.nb_segs == 1 && RTE_MBUF_DIRECT(&mbuf);
  }

  std::uint32_t count_ = 0;
  rte_mbuf* mbufs_[kCapacity];
};

}  // namespace pgrid::dpdk
