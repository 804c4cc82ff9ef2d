// What a process said and what happened to it: the last lines of each process, in memory only.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "control/event_loop.hpp"

namespace pgrid::control {

struct LogLine {
  std::uint64_t seq = 0;  // rises; also over restarts of control, so that `after` keeps its meaning
  std::int64_t time_unix_ms = 0;
  bool is_event = false;  // else a line from pg_log
  std::string text;
};

inline constexpr std::size_t kLogLines = 1000;  // kept for each process
inline constexpr std::size_t kLogLinesAll =
    1u << 16;  // kept for all: 64 MiB of the longest, however many processes
inline constexpr std::size_t kLogWaitersMax = 64;  // requests that wait for a line, over all processes

/// Owned by control's one thread.
class LogBook {
 public:
  using OnLines = std::function<void(std::vector<LogLine>)>;
  explicit LogBook(EventLoop& loop);

  void add(std::uint32_t process, bool is_event, std::string text);
  [[nodiscard]] std::vector<LogLine> after(std::uint32_t process, std::uint64_t seq) const;
  /// Calls `on_lines` once: at once when there are lines, or with the first that comes, or with none after
  /// `wait`.
  void when_lines(std::uint32_t process, std::uint64_t seq, std::chrono::milliseconds wait, OnLines on_lines);
  /// The process is gone: its lines too.
  void forget(std::uint32_t process);

 private:
  struct Waiter {
    std::uint32_t process;
    std::uint64_t seq;
    OnLines on_lines;
    Pending limit;
  };
  void answer(std::uint64_t waiter);
  void make_room();

  EventLoop& loop_;
  std::map<std::uint32_t, std::deque<LogLine>> lines_;
  std::size_t all_ = 0;  // lines, over all processes
  std::map<std::uint64_t, Waiter> waiters_;
  std::uint64_t next_seq_;
  std::uint64_t next_waiter_ = 0;
};

}  // namespace pgrid::control
