// Up to 32 packets that one receive call gave, or that wait for one transmit call.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <memory>
#include <span>

#include "drivers/base/check.hpp"
#include "drivers/dpdk/packet.hpp"

namespace pgrid::dpdk {

inline constexpr std::uint16_t kBurstMax = 32;  // packets taken from or given to a queue at once

/// Packets in order. What is not moved out is freed, in bulk, when the burst goes out of scope or is cleared.
/// Lives on the stack (or in the state) of one lcore; neither copied nor moved.
class PacketBurst {
 public:
  PacketBurst() noexcept {}
  /// Adopts `count` mbufs, none null. REQUIRES: count <= kBurstMax.
  PacketBurst(rte_mbuf* const* mbufs, std::uint16_t count) noexcept : count_(count) {
    for (std::uint16_t i = 0; i < count; ++i) std::construct_at(&packets_[i], mbufs[i]);
  }
  PacketBurst(const PacketBurst&) = delete;
  PacketBurst& operator=(const PacketBurst&) = delete;
  ~PacketBurst() { clear(); }

  [[nodiscard]] std::uint16_t size() const noexcept { return count_; }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] bool full() const noexcept { return count_ == kBurstMax; }
  [[nodiscard]] Packet* begin() noexcept { return packets_; }
  [[nodiscard]] Packet* end() noexcept { return packets_ + count_; }
  [[nodiscard]] Packet& operator[](std::uint16_t i) noexcept { return packets_[i]; }
  [[nodiscard]] std::span<Packet> packets() noexcept { return {packets_, count_}; }

  /// Adds one at the end. REQUIRES: not full.
  void push(Packet&& packet) noexcept {
    PG_DCHECK(!full());
    std::construct_at(&packets_[count_++], std::move(packet));
  }

  /// Frees what is left.
  void clear() noexcept {
    rte_mbuf* left[kBurstMax];
    std::uint16_t n = 0;
    for (std::uint16_t i = 0; i < count_; ++i)
      if (rte_mbuf* const mbuf = Packet::release(packets_[i]); mbuf != nullptr) left[n++] = mbuf;
    count_ = 0;
    if (n != 0) rte_pktmbuf_free_bulk(left, n);
  }

  /// Forgets the first `n` packets, which were handed on, and moves the rest to the front.
  void drop_front(std::uint16_t n) noexcept {
    PG_DCHECK(n <= count_);
    for (std::uint16_t i = 0; i < n; ++i) packets_[i].reset();
    for (std::uint16_t i = n; i < count_; ++i) packets_[i - n] = std::move(packets_[i]);
    count_ = static_cast<std::uint16_t>(count_ - n);
  }

 private:
  // Only the first count_ are alive; a dead Packet is null or was moved from, so that no destructor is owed.
  union {
    Packet packets_[kBurstMax];
  };
  std::uint16_t count_ = 0;
};

}  // namespace pgrid::dpdk
