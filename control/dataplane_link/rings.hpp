// The rings between control and the poll cores: messages to send, and what comes back. Polled by a timer:
// fast while an answer is awaited, slowly otherwise.
#pragma once

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
  std::uint32_t deadline_us = 0;   // 0: the right's maximum
  std::vector<std::uint8_t> body;  // at most kBodyMax
};

/// What came back, with checked fields.
struct Answer {
  abi::Kind kind{};
  abi::Reason reason{};
  std::uint64_t elapsed_ns = 0;
  std::vector<std::uint8_t> body;
};

/// Owned by control's one thread.
class ControlRings {
 public:
  using OnAnswer = std::function<void(Result<Answer>)>;
  /// Log lines, instance events and punts: the header is a copy, its fields are as they came.
  using OnEvent = std::function<void(const abi::ControlEvent&, std::span<const std::byte> body)>;

  ControlRings(EventLoop& loop, OnEvent on_event);

  void attach(const Segments& segments);
  /// Answers everything that is outstanding with `unavailable`.
  void detach();

  /// Sends a request; `on_answer` is called once, at the latest a second after the deadline.
  void send(const Outbound& message, OnAnswer on_answer);

 private:
  struct PollCore {
    abi::RingProducer requests;
    abi::RingConsumer events;
    bool reported_corrupt = false;
  };
  struct Waiting {
    OnAnswer on_answer;
    Pending limit;
  };
  void poll_later();
  void poll();
  void drain(PollCore& core);
  void take(const abi::ControlEvent& event, std::span<const std::byte> body);
  void finish(std::uint64_t id, Result<Answer> answer);

  EventLoop& loop_;
  OnEvent on_event_;
  std::vector<PollCore> cores_;
  std::unordered_map<std::uint64_t, Waiting> waiting_;
  std::uint64_t next_id_;
  std::size_t next_core_ = 0;
  std::uint32_t fast_polls_ = 0;  // since the last message was sent
  Pending timer_;
};

}  // namespace pgrid::control
