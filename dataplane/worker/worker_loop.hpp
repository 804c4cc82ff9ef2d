// The worker thread: turns of the core, orders of the loader, and rest when nothing comes.
#pragma once

#include <atomic>
#include <cstdint>

#include "dataplane/idle.hpp"
#include "dataplane/worker/order.hpp"
#include "dataplane/worker/worker_core.hpp"

namespace pgrid::worker {

/// `run` is the worker thread's life; `stop` and `state` may be used from others.
class WorkerLoop {
 public:
  enum class State : std::uint32_t { running, stopped, corrupt };

  WorkerLoop(WorkerCore& core, OrderBox& orders, dataplane::IdlePolicy idle) noexcept
      : core_(core), orders_(orders), idle_(idle) {}

  void run(std::uint32_t cpu) noexcept;
  void stop() noexcept { stop_.store(true, std::memory_order_relaxed); }
  [[nodiscard]] State state() const noexcept { return state_.load(std::memory_order_acquire); }
  /// `run` is past its set-up, and makes no other system call than those of idling, loading and guests from here on.
  [[nodiscard]] bool started() const noexcept { return started_.load(std::memory_order_acquire); }
  /// After `started`: 0, or the errno with which pinning failed.
  [[nodiscard]] int pin_error() const noexcept { return pin_error_.load(std::memory_order_acquire); }

 private:
  bool carry_out_order() noexcept;
  void idle_turn() noexcept;

  WorkerCore& core_;
  OrderBox& orders_;
  const dataplane::IdlePolicy idle_;
  std::uint32_t empty_turns_ = 0;
  std::uint32_t sleep_us_ = 0;
  std::atomic<bool> started_ = false;
  std::atomic<bool> stop_ = false;
  std::atomic<State> state_ = State::running;
  std::atomic<int> pin_error_ = 0;
};

}  // namespace pgrid::worker
