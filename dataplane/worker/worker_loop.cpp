#include "dataplane/worker/worker_loop.hpp"

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <time.h>

#include <algorithm>

namespace pgrid::worker {
namespace {

constexpr unsigned long kTimerSlackNs = 1000;  // the default of 50 us would double short sleeps

int pin_to(std::uint32_t cpu) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return ::pthread_setaffinity_np(::pthread_self(), sizeof set, &set);
}

}  // namespace

void WorkerLoop::run(std::uint32_t cpu) noexcept {
  pin_error_.store(pin_to(cpu), std::memory_order_release);
  ::prctl(PR_SET_NAME, "pgrid-guests");
  ::prctl(PR_SET_TIMERSLACK, kTimerSlackNs);
  started_.store(true, std::memory_order_release);
  while (!stop_.load(std::memory_order_relaxed)) {
    bool found = carry_out_order();
    found |= core_.turn();
    if (core_.corrupt()) [[unlikely]]
      return state_.store(State::corrupt, std::memory_order_release);
    if (found) {
      empty_turns_ = 0;
      sleep_us_ = 0;
    } else {
      idle_turn();
    }
  }
  state_.store(State::stopped, std::memory_order_release);
}

bool WorkerLoop::carry_out_order() noexcept {
  Order* order = orders_.take();
  if (order == nullptr) return false;
  if (order->what == Order::What::load) {
    WorkerCore::Attached attached = core_.attach(std::move(order->slot));
    order->ok = attached.ok;
    order->text = std::move(attached.text);
    order->slot = std::move(attached.slot);
  } else if (order->what == Order::What::unload) {
    order->slot = core_.detach(order->process, order->generation);
    order->ok = true;
  } else if (order->what == Order::What::restart) {
    order->gave_up_before = core_.gave_up_box().count();
    order->ok = core_.restart(order->process, order->generation);
  } else {
    core_.set_handle(order->process, order->generation, order->handle, order->held);
    order->ok = true;
  }
  order->done.store(true, std::memory_order_release);  // the order is the loader's again
  return true;
}

/// As a poll core's (dataplane/idle.hpp); only here does this thread make a system call of its own. One that spins makes none
/// at all: its ticker naps, so that it need not be woken.
void WorkerLoop::idle_turn() noexcept {
  core_.beat();
  if (++empty_turns_ < dataplane::kEmptyTurnsBeforeSleep || idle_ == dataplane::IdlePolicy::spin) {
    if (empty_turns_ == dataplane::kEmptyTurnsBeforeSleep) core_.rest();
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
    return;
  }
  core_.rest();
  if (idle_ == dataplane::IdlePolicy::yield) {
    ::sched_yield();
    return;
  }
  sleep_us_ = std::min(sleep_us_ + dataplane::kSleepStepUs, dataplane::kSleepMaxUs);
  const timespec time{0, static_cast<long>(sleep_us_) * 1000};
  ::nanosleep(&time, nullptr);
}

}  // namespace pgrid::worker
