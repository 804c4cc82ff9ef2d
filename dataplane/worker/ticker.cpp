#include "dataplane/worker/ticker.hpp"

#include <sys/prctl.h>
#include <time.h>

namespace pgrid::worker {
namespace {

constexpr std::uint32_t kIdleTicks = 40;  // 10 ms without work before the ticker sleeps until woken

constexpr long kSettleNs = 10'000;          // far longer than a store takes to be seen by another core

void sleep_ns(long ns) noexcept {
  const timespec time{0, ns};
  ::nanosleep(&time, nullptr);
}

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
  started_.store(true, std::memory_order_release);
  std::uint32_t idle_ticks = 0;
  while (!stop_.load(std::memory_order_relaxed)) {
    if (idle_.load() == 0) {
      idle_ticks = 0;
    } else if (++idle_ticks > kIdleTicks) {
      if (rest_ == Rest::naps) {
        sleep_ns(kNapNs);
        continue;
      }
      idle_.wait(1);  // returns at once if the worker has become busy in between
      idle_ticks = 0;
    }
    sleep_ns(kTickNs);
    look();
    count();
  }
}

void Ticker::count() noexcept {
  ticks_.store(ticks_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

void Ticker::pass(std::uint64_t ns) noexcept {
  used_ns_.store(used_ns_.load(std::memory_order_relaxed) + ns, std::memory_order_relaxed);
  for (std::uint64_t ticks = (ns + kTickNs - 1) / kTickNs; ticks != 0; --ticks) count();
}

void Ticker::look() {
  const std::uint64_t limit = limit_ns_.load(std::memory_order_relaxed);
  const std::uint64_t in_hand = in_hand_.load(std::memory_order_relaxed);
  const std::uint64_t now = now_ns(clock_);
  used_ns_.store(now, std::memory_order_relaxed);
  if (limit == 0) return;
  if (in_hand != seen_) {
    seen_ = in_hand;
    seen_ns_ = now;
    return;
  }
  if (now - seen_ns_ < limit) return;
  stopped_after_ns_.store(now - seen_ns_, std::memory_order_relaxed);
  for (std::uint64_t tick = 0; tick < kGuestTicks; ++tick) {
    if (in_hand_.load(std::memory_order_relaxed) != in_hand) return;
    count();  // first: who sees no new tick need not ask for the epoch, which is at most one ahead of what it saw
    engine_.increment_epoch();
    sleep_ns(kSettleNs);
  }
}

}  // namespace pgrid::worker
