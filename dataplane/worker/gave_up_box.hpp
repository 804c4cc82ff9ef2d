// How the worker thread, which makes no system calls, has it told that a process gave up: the loader's thread looks here and
// writes to the data plane's socket.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

namespace pgrid::worker {

struct GaveUp {
  std::uint32_t process = 0;
  std::uint32_t generation = 0;
  std::string why;
};

/// A ring of few places: giving up is rare, for somebody has to restart a process before it can give up again. One thread
/// puts, one takes, neither waits.
class GaveUpBox {
 public:
  /// Worker thread. False: no place is free now, try again later.
  [[nodiscard]] bool put(GaveUp&& one) noexcept {
    const std::uint64_t at = put_.load(std::memory_order_relaxed);
    if (at - taken_.load(std::memory_order_acquire) == places_.size()) return false;
    places_[at % places_.size()] = std::move(one);
    put_.store(at + 1, std::memory_order_release);  // pairs with the acquire in take
    return true;
  }
  /// Worker thread: how many were ever put.
  [[nodiscard]] std::uint64_t count() const noexcept { return put_.load(std::memory_order_relaxed); }

  /// Loader thread: the oldest of the first `end` that were ever put. False: there is none.
  [[nodiscard]] bool take(GaveUp& one, std::uint64_t end = ~std::uint64_t{0}) noexcept {
    const std::uint64_t at = taken_.load(std::memory_order_relaxed);
    if (at >= end || at == put_.load(std::memory_order_acquire)) return false;
    one = std::move(places_[at % places_.size()]);
    taken_.store(at + 1, std::memory_order_release);  // pairs with the acquire in put
    return true;
  }

 private:
  std::array<GaveUp, 64> places_;
  alignas(64) std::atomic<std::uint64_t> put_ = 0;
  alignas(64) std::atomic<std::uint64_t> taken_ = 0;
};

}  // namespace pgrid::worker
