// Up to 32 packets that one receive call gave, or that wait for one transmit call.
#pragma once

#include <rte_mbuf.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>

#include "drivers/base/check.hpp"
#include "drivers/dpdk/packet.hpp"

namespace pgrid::dpdk {

inline constexpr std::uint16_t kBurstMax = 32;  // packets taken from or given to a queue at once

/// Packets as the mbuf pointers that they are (packet.hpp asserts that a Packet is exactly one), for drivers.
[[nodiscard]] inline rte_mbuf** as_mbufs(Packet* packets) noexcept {
  return reinterpret_cast<rte_mbuf**>(packets);
}

/// Packets in order. What is not moved out is freed, in bulk, when the burst goes out of scope or is cleared.
/// Lives on the stack (or in the state) of one lcore; neither copied nor moved.
///
/// Adopting and handing over write no pointer twice: bench/micro/packet_bench.cpp compares with bare arrays.
class PacketBurst {
 public:
  PacketBurst() noexcept {}
  /// Adopts `count` mbufs, none null. REQUIRES: count <= kBurstMax.
  PacketBurst(rte_mbuf* const* mbufs, std::uint16_t count) noexcept
      : PacketBurst([=](rte_mbuf** to) { return std::copy_n(mbufs, count, to), count; }) {}
  /// Adopts what `receive(rte_mbuf** to)` wrote to `to`, which has room for kBurstMax; it returns how many.
  template <typename Receive>
    requires std::is_invocable_r_v<std::uint16_t, Receive, rte_mbuf**>
  explicit PacketBurst(Receive receive) noexcept : count_(receive(as_mbufs(packets_))) {}
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
    // Nearly always nothing is left: one pass that the compiler turns into vector instructions finds that out.
    std::uintptr_t any = 0;
    for (std::uint16_t i = 0; i < count_; ++i) any |= reinterpret_cast<std::uintptr_t>(packets_[i].mbuf());
    if (any != 0) free_left();
    count_ = 0;
  }

  /// Gives all to `send(rte_mbuf** mbufs, std::uint16_t count)`, which takes over as many from the front as
  /// it returns; the rest moves to the front. REQUIRES: none was moved out.
  template <typename Send>
  std::uint16_t hand_over(Send send) noexcept {
    const std::uint16_t sent = send(as_mbufs(packets_), count_);
    std::copy(as_mbufs(packets_) + sent, as_mbufs(packets_) + count_, as_mbufs(packets_));
    count_ = static_cast<std::uint16_t>(count_ - sent);
    return sent;
  }

 private:
  void free_left() noexcept {
    rte_mbuf* left[kBurstMax];
    std::uint16_t n = 0;
    for (std::uint16_t i = 0; i < count_; ++i) {
      left[n] = packets_[i].mbuf();
      n = static_cast<std::uint16_t>(n + (left[n] != nullptr));  // no branch: which ones are left is random
    }
    rte_pktmbuf_free_bulk(left, n);
  }

  // Only the first count_ are alive. The others are owed no destructor: their mbufs were handed over.
  union {
    Packet packets_[kBurstMax];
  };
  std::uint16_t count_ = 0;
};

}  // namespace pgrid::dpdk
