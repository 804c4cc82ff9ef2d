// What control says to functions and a full ring did not take at once.
#pragma once

#include <cstddef>
#include <deque>
#include <variant>

#include "control/dataplane_link/rings.hpp"
#include "control/event_loop.hpp"

namespace pgrid::control {

inline constexpr std::size_t kOutboxMax = 16'384;  // a large tree's notices; at most 1.1 KiB each

/// Owned by control's one thread. In the order in which it was given.
class Outbox {
 public:
  Outbox(EventLoop& loop, ControlRings& rings) : loop_(loop), rings_(rings) {}

  /// False: it will not be said.
  [[nodiscard]] bool say(GuestAnswer answer) { return add(std::move(answer)); }
  [[nodiscard]] bool say(GuestNotice notice) { return add(std::move(notice)); }

  void attach() { is_attached_ = true; }
  /// Nobody is there to hear it.
  void detach();

 private:
  using Letter = std::variant<GuestAnswer, GuestNotice>;
  bool add(Letter letter);
  [[nodiscard]] bool put(const Letter& letter);
  void flush();

  EventLoop& loop_;
  ControlRings& rings_;
  std::deque<Letter> letters_;
  Pending timer_;
  bool is_attached_ = false;
};

}  // namespace pgrid::control
