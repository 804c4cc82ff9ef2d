#include "dataplane/worker/ticker.hpp"

#include <sys/prctl.h>
#include <time.h>

namespace pgrid::worker {
namespace {

constexpr std::uint32_t kIdleTicks = 40;  // 10 ms without work before the ticker sleeps until woken

std::uint64_t now_ns(clockid_t clock) noexcept {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

}  // namespace

void Ticker::watch(pthread_t worker) {
  ::pthread_getcpuclockid(worker, &clock_);
  thread_ = std::thread([this] { run(); });
}

void Ticker::stop() {
  if (!thread_.joinable()) return;
  stop_.store(true);
  busy();
  thread_.join();
}

void Ticker::busy() noexcept {
  idle_.store(0, std::memory_order_seq_cst);
  idle_.notify_one();  // a system call only when the ticker sleeps on it
}

void Ticker::run() {
  ::prctl(PR_SET_NAME, "pgrid-ticker");
  std::uint64_t counted = now_ns(clock_);
  std::uint32_t idle_ticks = 0;
  while (!stop_.load(std::memory_order_relaxed)) {
    if (idle_.load() == 0) {
      idle_ticks = 0;
    } else if (++idle_ticks > kIdleTicks) {
      idle_.wait(1);  // returns at once if the worker has become busy in between
      idle_ticks = 0;
      counted = now_ns(clock_);
    }
    constexpr timespec kTick{0, kTickNs};
    ::nanosleep(&kTick, nullptr);
    // Counts what was used, not how often we woke: a late wake-up catches up.
    for (const std::uint64_t now = now_ns(clock_); counted + kTickNs <= now; counted += kTickNs) {
      engine_.increment_epoch();
      ticks_.store(ticks_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
  }
}

}  // namespace pgrid::worker
