// What the loader thread asks of the worker thread: one order at a time, handed over without a lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "dataplane/worker/instance_slot.hpp"

namespace pgrid::worker {

struct Order {
  enum class What : std::uint8_t { load, unload, set_handle, restart };
  What what = What::load;
  std::uint32_t process = 0;
  std::uint32_t generation = 0;
  std::uint32_t handle = 0;            // set_handle: which one
  bool held = false;                   // set_handle: the process holds it from now on, or does not
  std::unique_ptr<InstanceSlot> slot;  // load: the new one; when done: what the worker has no use for any more

  // Valid when done.
  bool ok = false;
  std::uint64_t gave_up_before = 0;  // restart: how often processes had given up until then; that much is of the past
  std::string text;  // of a load that failed
  std::atomic<bool> done = false;
};

/// One place. The loader puts an order in and keeps it alive until it is done; the worker looks once per turn.
class OrderBox {
 public:
  void put(Order& order) noexcept { order_.store(&order, std::memory_order_release); }
  /// Worker thread: an order to carry out, or nullptr. Costs one load of a line that nobody writes meanwhile.
  [[nodiscard]] Order* take() noexcept {
    if (order_.load(std::memory_order_relaxed) == nullptr) return nullptr;
    return order_.exchange(nullptr, std::memory_order_acquire);
  }

 private:
  alignas(64) std::atomic<Order*> order_ = nullptr;
};

}  // namespace pgrid::worker
