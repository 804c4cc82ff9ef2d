// The clock of guests' time limits: CPU time of the worker thread, never wall time. A pinned spinner was seen descheduled
// for 4 to 16 ms at a time (DESIGN section 5); wall time would blame guests for that.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <thread>

#include "drivers/wasm/engine.hpp"

namespace pgrid::worker {

inline constexpr std::uint64_t kNapNs = 5'000'000;  // between looks of a ticker that naps
inline constexpr std::uint64_t kTickNs = 250'000;  // between looks: 4,000 wake-ups a second while guests run, elsewhere

/// Epoch ticks that a guest gets, always. The ticker moves the epoch only to stop somebody, and never twice in a row
/// without looking whether the same message is still in hand; so a message that begins meanwhile loses at most one.
inline constexpr std::uint64_t kGuestTicks = 2;

/// A thread that looks every kTickNs which message the worker thread has in hand and how much CPU time it used since it
/// was first seen; beyond its limit the guest is stopped. A late look therefore gives time, and never takes any: a guest
/// is stopped between its limit and three looks later. The engine must outlive it.
class Ticker {
 public:
  /// What it does while the worker is idle: waits until it is woken, which costs the worker a system call; or looks every
  /// kNapNs, for a worker that makes none, and a guest that ends such a pause may run for so much longer.
  enum class Rest : std::uint8_t { waits, naps };

  explicit Ticker(const wasm::Engine& engine, Rest rest = Rest::waits) noexcept : engine_(engine), rest_(rest) {}
  ~Ticker() { stop(); }
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

  /// Begins to count CPU time of `worker`. The ticker's thread gets the CPUs of the caller: call it off the worker's.
  void watch(pthread_t worker);
  void stop();
  /// Its thread is past its set-up.
  [[nodiscard]] bool started() const noexcept { return started_.load(std::memory_order_acquire); }

  /// Worker thread: nothing to do now / something came. At changes only: `busy` may make a system call, of a ticker that waits.
  void idle() noexcept { idle_.store(1, std::memory_order_seq_cst); }
  void busy() noexcept;

  /// Worker thread: a guest begins, with this limit; it took the next message; it returned or stopped.
  void begin(std::uint64_t limit_ns) noexcept {
    limit_ns_.store(limit_ns, std::memory_order_relaxed);
    next();
  }
  void next() noexcept { in_hand_.store(in_hand_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }
  void end() noexcept { limit_ns_.store(0, std::memory_order_relaxed); }

  /// Rises with every look and before the epoch does: for whoever wants to know cheaply that time passed. A guest's limit
  /// need not be restarted while this stays the same.
  [[nodiscard]] std::uint64_t ticks() const noexcept { return ticks_.load(std::memory_order_relaxed); }
  /// CPU time that the worker thread had used at the last look, in ns; stands still while the ticker sleeps.
  [[nodiscard]] std::uint64_t used_ns() const noexcept { return used_ns_.load(std::memory_order_relaxed); }

  /// CPU time that the message in hand had used when a guest was last stopped for it, in ns, as far as looks can tell.
  [[nodiscard]] std::uint64_t stopped_after_ns() const noexcept { return stopped_after_ns_.load(std::memory_order_relaxed); }

  /// Tests, of a ticker that does not watch: the worker thread used so much CPU time.
  void pass(std::uint64_t ns) noexcept;

 private:
  void run();
  void look();
  void count() noexcept;

  const wasm::Engine& engine_;
  const Rest rest_;
  clockid_t clock_{};
  std::uint64_t seen_ = 0;     // message at the last look; the ticker's own
  std::uint64_t seen_ns_ = 0;  // CPU time at which it was first seen
  alignas(64) std::atomic<std::uint64_t> ticks_ = 0;  // written by the ticker
  std::atomic<std::uint64_t> used_ns_ = 0;              // written by the ticker, before ticks_
  std::atomic<std::uint64_t> stopped_after_ns_ = 0;     // written by the ticker, before the epoch moves
  alignas(64) std::atomic<std::uint64_t> in_hand_ = 0;  // written by the worker: rises with every message
  std::atomic<std::uint64_t> limit_ns_ = 0;             // written by the worker; 0: no guest runs
  std::atomic<std::uint32_t> idle_ = 0;
  std::atomic<bool> started_ = false;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace pgrid::worker
