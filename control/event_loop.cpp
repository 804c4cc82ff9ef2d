#include "control/event_loop.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

namespace pgrid::control {

namespace asio = boost::asio;
using boost::system::error_code;

/// Shared by the owner and the operation that is under way; `alive` tells the latter that the former is gone.
struct Pending::Impl {
  virtual ~Impl() = default;
  virtual void cancel() = 0;
  bool alive = true;
  Task task;
};

Pending::Pending() = default;
Pending::Pending(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Pending::Pending(Pending&& other) noexcept : impl_(std::move(other.impl_)) {}
Pending& Pending::operator=(Pending&& other) noexcept {
  if (this != &other) {
    reset();
    impl_ = std::move(other.impl_);
  }
  return *this;
}
Pending::~Pending() { reset(); }
void Pending::reset() {
  if (!impl_) return;
  const std::shared_ptr<Impl> impl = std::move(impl_);
  impl->alive = false;
  impl->cancel();
}

namespace {

struct TimerPending : Pending::Impl {
  explicit TimerPending(asio::io_context& context) : timer(context) {}
  void cancel() override { timer.cancel(); }
  asio::steady_timer timer;
};

struct DescriptorPending : Pending::Impl {
  DescriptorPending(asio::io_context& context, int fd) : descriptor(context, fd) {}
  ~DescriptorPending() override { (void)descriptor.release(); }
  void cancel() override {
    if (descriptor.is_open())
      (void)descriptor.release();  // cancels; the descriptor stays open, and the caller's
  }
  asio::posix::stream_descriptor descriptor;
};

struct SignalPending : Pending::Impl {
  explicit SignalPending(asio::io_context& context) : signals(context) {}
  void cancel() override { signals.cancel(); }
  asio::signal_set signals;
};

void wait_readable(const std::shared_ptr<DescriptorPending>& pending) {
  pending->descriptor.async_wait(asio::posix::descriptor_base::wait_read, [pending](const error_code& error) {
    if (!pending->alive || error) return;
    pending->task();
    if (pending->alive) wait_readable(pending);
  });
}

}  // namespace

EventLoop::EventLoop() : context_(std::make_unique<asio::io_context>(1)) {}

EventLoop::~EventLoop() {
  // Operations that were cancelled and have not come back hold descriptors and timers. They must end while the services
  // that those belong to are alive: ~io_context drops some of them later (Boost 1.81, io_uring).
  constexpr std::chrono::milliseconds kLimit{100};  // the kernel ends a cancelled wait within microseconds
  const auto end = std::chrono::steady_clock::now() + kLimit;
  context_->restart();
  while (!context_->stopped() && std::chrono::steady_clock::now() < end) context_->poll();
}

void EventLoop::post(Task task) { asio::post(*context_, std::move(task)); }

Pending EventLoop::after(std::chrono::microseconds delay, Task task) {
  auto pending = std::make_shared<TimerPending>(*context_);
  pending->task = std::move(task);
  pending->timer.expires_after(delay);
  pending->timer.async_wait([pending](const error_code& error) {
    if (!pending->alive || error) return;
    const Task once = std::move(pending->task);
    once();
  });
  return Pending(pending);
}

Pending EventLoop::when_readable(int fd, Task task) {
  auto pending = std::make_shared<DescriptorPending>(*context_, fd);
  pending->task = std::move(task);
  wait_readable(pending);
  return Pending(pending);
}

Pending EventLoop::when_writable(int fd, Task task) {
  auto pending = std::make_shared<DescriptorPending>(*context_, fd);
  pending->task = std::move(task);
  pending->descriptor.async_wait(asio::posix::descriptor_base::wait_write,
                                 [pending](const error_code& error) {
                                   if (!pending->alive || error) return;
                                   const Task once = std::move(pending->task);
                                   once();
                                 });
  return Pending(pending);
}

Pending EventLoop::on_signals(std::initializer_list<int> numbers, Task task) {
  auto pending = std::make_shared<SignalPending>(*context_);
  pending->task = std::move(task);
  for (const int number : numbers) pending->signals.add(number);
  pending->signals.async_wait([pending](const error_code& error, int) {
    if (pending->alive && !error) pending->task();
  });
  return Pending(pending);
}

void EventLoop::run() { context_->run(); }
void EventLoop::stop() { context_->stop(); }

bool EventLoop::run_until(const std::function<bool()>& done, std::chrono::milliseconds limit) {
  // Not run_one_for: over io_uring, Boost 1.81 leaves its time-out behind on the stack and takes that for an
  // operation later.
  constexpr std::chrono::milliseconds kTick{5};
  const auto end = std::chrono::steady_clock::now() + limit;
  Pending timer;
  Task tick;
  tick = [&] { timer = after(kTick, [&] { tick(); }); };
  tick();
  context_->restart();
  while (!done()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    context_->run_one();
  }
  return true;
}

}  // namespace pgrid::control
