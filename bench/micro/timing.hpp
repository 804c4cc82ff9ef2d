// What the benches of bench/micro that time parts of an iteration have in common: a clock, cold caches, a second core.
//
// Cold means: each line that the bench knows of was flushed from every cache (clflush), and then a buffer of eight times the
// largest L2 was walked, so that whatever else is used (stack, tables, drivers' memory) comes from further away than L2. Code
// stays warm but for what the walk throws out.
#pragma once

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <thread>
#include <vector>

#include "dataplane/stage_clock.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pgrid::bench {

inline std::uint64_t ticks_now() noexcept { return dataplane::TimeStampCounter::now(); }

/// Ticks per second, by comparison with the kernel's clock over 20 ms.
inline double ticks_per_second() {
  static const double rate = [] {
    using Clock = std::chrono::steady_clock;
    const auto began = Clock::now();
    const std::uint64_t first = ticks_now();
    while (Clock::now() - began < std::chrono::milliseconds(20)) {
    }
    const std::uint64_t last = ticks_now();
    return static_cast<double>(last - first) / std::chrono::duration<double>(Clock::now() - began).count();
  }();
  return rate;
}

/// What one reading of the clock adds to what is timed.
inline std::uint64_t stamp_ticks() {
  static const std::uint64_t least = [] {
    std::uint64_t best = ~std::uint64_t{0};
    for (int i = 0; i < 1000; ++i) {
      const std::uint64_t before = ticks_now();
      best = std::min(best, ticks_now() - before);
    }
    return best;
  }();
  return least;
}

/// What a part of an iteration takes, less what the stamps take: the median over all times that it was timed, because on a shared
/// machine a few of them are a thousand times as long.
class Timing {
 public:
  /// The part from `began` to now; `times`: that it did whatever it is counted by.
  void add(std::uint64_t began, std::uint64_t times) {
    const std::uint64_t took = ticks_now() - began;
    if (times != 0)
      each_.push_back(static_cast<double>(took - std::min(took, stamp_ticks())) / static_cast<double>(times));
  }
  [[nodiscard]] double ns_each() const {
    if (each_.empty()) return 0;
    std::vector<double> sorted = each_;
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    return *middle / ticks_per_second() * 1e9;
  }

 private:
  std::vector<double> each_;  // ticks
};

/// The CPUs that this process might use when this was first asked, in order: before any thread is pinned.
inline const std::vector<int>& cpus() {
  static const std::vector<int> found = [] {
    std::vector<int> allowed;
    cpu_set_t set;
    if (::sched_getaffinity(0, sizeof set, &set) != 0) return allowed;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &set)) allowed.push_back(cpu);
    return allowed;
  }();
  return found;
}

inline void pin_to(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  (void)::pthread_setaffinity_np(::pthread_self(), sizeof set, &set);
}

inline void relax() noexcept {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

/// Throws lines out of the caches.
class Cold {
 public:
  Cold() {
    constexpr std::size_t kAtLeast = 8u << 20;
    const long l2 = ::sysconf(_SC_LEVEL2_CACHE_SIZE);
    walked_.resize(std::max(kAtLeast, l2 > 0 ? 8 * static_cast<std::size_t>(l2) : 0), std::byte{1});
  }
  static void flush(const void* memory, std::size_t length) noexcept {
#if defined(__x86_64__)
    const auto* line = reinterpret_cast<const char*>(reinterpret_cast<std::uintptr_t>(memory) & ~std::uintptr_t{63});
    for (const char* end = static_cast<const char*>(memory) + length; line < end; line += 64) __builtin_ia32_clflush(line);
#else
    (void)memory, (void)length;
#endif
  }
  void walk() noexcept {
    unsigned sum = 0;
    for (std::size_t i = 0; i < walked_.size(); i += 64) sum += std::to_integer<unsigned>(walked_[i]);
    seen_ = sum;
#if defined(__x86_64__)
    _mm_mfence();
#endif
  }

 private:
  std::vector<std::byte> walked_;
  volatile unsigned seen_ = 0;
};

/// A thread on another CPU that calls `step` for as long as this lives.
template <typename Step>
class Partner {
 public:
  Partner(int cpu, Step step) : thread_([this, cpu, step]() mutable {
    pin_to(cpu);
    while (!stop_.load(std::memory_order_relaxed)) step();
  }) {}
  ~Partner() {
    stop_.store(true, std::memory_order_relaxed);
    thread_.join();
  }
  Partner(const Partner&) = delete;
  Partner& operator=(const Partner&) = delete;

 private:
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace pgrid::bench
