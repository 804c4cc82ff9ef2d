// Frames of one port on their way out: gathered over a turn, sent in bursts, kept
// while the port takes no more.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>

#include "abi/shared/stats.hpp"
#include "dataplane/limits.hpp"

namespace pgrid::dataplane {

/// Owned by one poll core. In order; owns its packets.
template <typename Packet>
class TxBacklog {
 public:
  [[nodiscard]] bool full() const noexcept { return count_ == kTxBacklog; }

  /// REQUIRES: not full.
  void push(Packet&& packet) noexcept { packets_[count_++] = std::move(packet); }

  /// Gives bursts to `send(std::span<Packet>) -> sent` until it takes no more. Returns how many it took.
  template <typename Send>
  std::uint32_t flush(Send send) noexcept {
    std::uint32_t sent = 0;
    while (sent < count_) {
      const std::uint32_t burst = std::min(count_ - sent, abi::kBurst);
      const std::uint32_t taken = send(std::span(packets_ + sent, burst));
      sent += taken;
      if (taken < burst) break;
    }
    if (sent != 0) {
      std::move(packets_ + sent, packets_ + count_, packets_);
      count_ -= sent;
    }
    return sent;
  }

  /// Frees what is left, and says how many that were.
  std::uint32_t clear() noexcept {
    for (std::uint32_t i = 0; i < count_; ++i) packets_[i] = Packet{};
    return std::exchange(count_, 0);
  }

 private:
  std::uint32_t count_ = 0;
  Packet packets_[kTxBacklog];
};

}  // namespace pgrid::dataplane
