// What happens to processes again and again (violations, restarts), on its way to the log: no function can flood it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "control/event_loop.hpp"
#include "control/store/state.hpp"

namespace pgrid::control {

inline constexpr std::chrono::seconds kHappeningEvery{1};      // of one kind and process, at most
inline constexpr std::chrono::seconds kHappeningEveryMax{60};  // while it goes on: 1,440 a day, some 300 kB

/// The first of a kind is written at once. What comes within a second is counted; the newest of it is written when that is over,
/// with the count, and the next second is two, up to a minute, until it was quiet for as long. Owned by control's one thread.
class Happenings {
 public:
  using Write = std::function<void(Happened)>;
  Happenings(EventLoop& loop, Write write) : loop_(loop), write_(std::move(write)) {}

  void note(const ProcessRecord& process, const std::string& what, std::string text);
  /// The process is gone.
  void forget(std::uint32_t process);

 private:
  using Clock = std::chrono::steady_clock;
  using Kind = std::pair<std::uint32_t, std::string>;  // process, what
  struct Row {
    std::uint32_t generation = 0;
    Clock::time_point next;
    std::chrono::seconds every = kHappeningEvery;
    std::uint64_t left_out = 0;
    std::string newest;
    Pending timer;
  };
  void write(const Kind& kind, Row& row, std::string text);
  void end_of_silence(const Kind& kind);

  EventLoop& loop_;
  Write write_;
  std::map<Kind, Row> rows_;
};

}  // namespace pgrid::control
