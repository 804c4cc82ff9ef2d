// Groups of processes that are restarted together, as Erlang/OTP's supervisors do with `rest_for_one`: when the instance of one
// ends, those that were deployed later, which may have built on it, begin anew. Without that, one for one: nothing else happens.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "control/event_loop.hpp"
#include "control/store/state.hpp"

namespace pgrid::control {

/// What keeps a group from a storm: a restart that comes from here does not count as one of a member (its event says that it was
/// asked for), and the rest is restarted at most once per pause, which doubles between the member's back-off bounds for as
/// long as it goes on. The last end of an instance is always followed by a restart of the rest.
/// Owned by control's one thread.
class Groups {
 public:
  using Restart = std::function<void(const ProcessRecord&)>;
  /// `restart` is called for processes that did not give up: who did waits for a person.
  Groups(EventLoop& loop, const State& state, Restart restart)
      : loop_(loop), state_(state), restart_(std::move(restart)) {}

  /// An instance of `process` ended by itself, or it gave up. It is not served for `back_off_ms`.
  void on_ended(const ProcessRecord& process, std::uint32_t back_off_ms);

 private:
  using Clock = std::chrono::steady_clock;
  struct Round {
    Clock::time_point next;  // not before
    std::chrono::milliseconds pause{0};
    std::uint32_t waits_for = 0;  // the first member whose rest is to be restarted then; with `timer`
    Pending timer;
  };
  void restart_rest(const ProcessRecord& process, std::uint32_t back_off_ms);
  void end_of_pause(const std::string& group);

  EventLoop& loop_;
  const State& state_;
  Restart restart_;
  std::map<std::string, Round> rounds_;
};

}  // namespace pgrid::control
