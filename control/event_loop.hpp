// Control's one thread: timers, descriptors and signals. A plain face for Boost.Asio over io_uring, so that
// only event_loop.cpp and api/server.cpp compile Asio.
#pragma once

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace pgrid::control {

using Task = std::function<void()>;

/// A task that waits for something. Move-only; the task is never called after this is destroyed or reset.
class Pending {
 public:
  struct Impl;
  Pending();
  explicit Pending(std::shared_ptr<Impl> impl);
  Pending(Pending&&) noexcept;
  Pending& operator=(Pending&&) noexcept;
  ~Pending();
  void reset();
  [[nodiscard]] explicit operator bool() const { return impl_ != nullptr; }

 private:
  std::shared_ptr<Impl> impl_;
};

/// Everything in control runs on the thread that calls `run`.
class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  void post(Task task);
  /// Once, after that time.
  [[nodiscard]] Pending after(std::chrono::microseconds delay, Task task);
  /// Each time the descriptor is readable or has an error, until the result is dropped. The descriptor stays
  /// the caller's and must stay open for as long.
  [[nodiscard]] Pending when_readable(int fd, Task task);
  /// Once, when the descriptor is writable.
  [[nodiscard]] Pending when_writable(int fd, Task task);
  [[nodiscard]] Pending on_signals(std::initializer_list<int> numbers, Task task);

  void run();
  void stop();
  /// For tests: runs until `done` holds or the time is over; gives the last value of `done`.
  bool run_until(const std::function<bool()>& done, std::chrono::milliseconds limit);

  [[nodiscard]] boost::asio::io_context& context() { return *context_; }

 private:
  std::unique_ptr<boost::asio::io_context> context_;
};

}  // namespace pgrid::control
