// The clock of guests' time limits: CPU time of the worker thread, never wall time. A pinned spinner was seen descheduled
// for 4 to 16 ms at a time (DESIGN section 5); wall time would blame guests for that.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <thread>

#include "drivers/wasm/engine.hpp"

namespace pgrid::worker {

inline constexpr std::uint64_t kTickNs = 250'000;  // 4,000 wake-ups a second while guests run, on another core

/// Ticks that a limit lasts: rounded up, and one more because the first one has begun already.
constexpr std::uint64_t ticks_of_us(std::uint64_t us) { return (us * 1000 + kTickNs - 1) / kTickNs + 1; }

/// A thread that moves the engine's epoch on by one for every kTickNs of CPU time that the worker thread uses. It sleeps
/// while the worker is idle. The engine must outlive it.
class Ticker {
 public:
  explicit Ticker(const wasm::Engine& engine) noexcept : engine_(engine) {}
  ~Ticker() { stop(); }
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

  /// Begins to count CPU time of `worker`. The ticker's thread gets the CPUs of the caller: call it off the worker's.
  void watch(pthread_t worker);
  void stop();

  /// Worker thread: nothing to do now / something came. At changes only: `busy` may make a system call.
  void idle() noexcept { idle_.store(1, std::memory_order_seq_cst); }
  void busy() noexcept;

  /// Ticks so far, for whoever wants to know cheaply that time passed.
  [[nodiscard]] std::uint64_t ticks() const noexcept { return ticks_.load(std::memory_order_relaxed); }

 private:
  void run();

  const wasm::Engine& engine_;
  clockid_t clock_{};
  alignas(64) std::atomic<std::uint64_t> ticks_ = 0;  // written by the ticker
  alignas(64) std::atomic<std::uint32_t> idle_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace pgrid::worker
