// The rings between control and the poll cores: messages to send, and what comes back. Polled by a timer:
// fast while an answer is awaited, slowly otherwise.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

#include "abi/shared/byte_ring.hpp"
#include "abi/shared/records.hpp"
#include "control/dataplane_link/segments.hpp"
#include "control/event_loop.hpp"
#include "drivers/base/result.hpp"

namespace pgrid::control {

/// One message that control asks to send.
struct Outbound {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::array<std::uint8_t, 16> key{};
  std::uint32_t deadline_us = 0;        // 0: the right's maximum
  std::vector<abi::RightRef> rights{};  // carried along; at most kCarriedRightsMax
  std::vector<std::uint8_t> body{};     // at most kBodyMax
};

/// What came back, with checked fields.
struct Answer {
  abi::Kind kind{};
  abi::Reason reason{};
  std::uint64_t elapsed_ns = 0;
  std::vector<abi::RightRef> rights;
  std::vector<std::uint8_t> body;
};

/// What control answers to a guest_request.
struct GuestAnswer {
  std::uint32_t reply_slot = 0;
  std::uint32_t reply_generation = 0;
  std::array<std::uint8_t, 8> id{};
  abi::Kind kind = abi::Kind::answer;
  abi::Reason reason = abi::Reason::none;
  std::vector<abi::RightRef> rights{};
  std::vector<std::uint8_t> body{};
};

/// What control tells an instance.
struct GuestNotice {
  std::uint32_t process = 0;
  std::uint32_t generation = 0;
  std::uint32_t worker = 0;
  std::uint32_t instance = 0;  // 0: any
  std::vector<abi::RightRef> rights{};
  std::vector<std::uint8_t> body{};
};

/// Everything that is no answer to a request of control's own. The fields are as they came; borrowed for the
/// call.
struct RingEvent {
  const abi::ControlEvent& header;
  std::span<const abi::RightRef> rights;
  std::span<const std::byte> body;
};

/// Owned by control's one thread.
class ControlRings {
 public:
  using OnAnswer = std::function<void(Result<Answer>)>;
  using OnEvent = std::function<void(const RingEvent&)>;

  ControlRings(EventLoop& loop, OnEvent on_event);

  void attach(const Segments& segments);
  /// Answers everything that is outstanding with `unavailable`.
  void detach();

  /// Sends a request; `on_answer` is called once, at the latest a second after the deadline.
  void send(const Outbound& message, OnAnswer on_answer);

  /// False: the data plane is away, or its poll core takes no more from control. What was taken may still be
  /// lost; if it carried rights, an `undelivered` event tells.
  [[nodiscard]] bool answer(const GuestAnswer& answer);
  [[nodiscard]] bool notify(const GuestNotice& notice);

 private:
  struct PollCore {
    abi::RingProducer requests;
    abi::ControlRingConsumer events;
    bool reported_corrupt = false;
  };
  struct Waiting {
    OnAnswer on_answer;
    Pending limit;
  };
  /// Writes one record; false: no room.
  [[nodiscard]] static bool put(PollCore& core, abi::ControlRequest& header,
                                std::span<const abi::RightRef> rights, std::span<const std::uint8_t> body);
  void poll_later();
  void poll();
  void drain(PollCore& core);
  void take(const abi::ControlEvent& event, std::span<const std::byte> behind);
  void finish(std::uint64_t id, Result<Answer> answer);

  EventLoop& loop_;
  OnEvent on_event_;
  std::vector<PollCore> cores_;
  std::unordered_map<std::uint64_t, Waiting> waiting_;
  std::uint64_t next_id_;
  std::size_t next_core_ = 0;
  std::uint32_t fast_polls_ = 0;  // since the last message was sent or the last request came
  std::chrono::steady_clock::time_point busy_until_{};  // functions are asking
  abi::Geometry geometry_{};
  Pending timer_;
};

}  // namespace pgrid::control
