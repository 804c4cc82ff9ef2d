// A poll core's end of the control process: messages it asks to send, and events for it. Control may be away
// for ever, come back, or write nonsense; a poll core never waits for it and never fails because of it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "abi/shared/byte_ring.hpp"
#include "abi/shared/records.hpp"
#include "dataplane/link_cell.hpp"

namespace pgrid::dataplane {

/// Owned by one poll core.
class ControlLink {
 public:
  explicit ControlLink(LinkCell& cell) noexcept : cell_(&cell) {}

  /// Once per turn. Nothing has to be settled when control goes: its answers are lost
  /// and counted as they come.
  void follow() noexcept {
    const LinkState state = cell_->state.load(std::memory_order_acquire);
    if (state == LinkState::offered) [[unlikely]]
      attach();
    if (state == LinkState::retired) [[unlikely]]
      close();
  }

  /// A request as it was copied out of the ring; the body still lies there and may change: read it once.
  struct Request {
    abi::ControlRequest header;  // with as many rights as follow
    std::array<abi::RightRef, abi::kCarriedRightsMax> rights;
    std::span<const std::byte> body;

    [[nodiscard]] std::span<const abi::RightRef> carried() const noexcept { return {rights.data(), header.nb_rights}; }
  };
  /// The next request. False: none, or control is away or broken. The body stays until `release`.
  [[nodiscard]] bool next(Request& request) noexcept {
    if (!attached_) return false;
    const abi::RingRecord record = requests_.front();
    if (!record) {
      if (requests_.corrupt()) [[unlikely]]
        mark_faulty();
      return false;
    }
    std::memcpy(&request.header, record.data, sizeof request.header);
    if (!read_rights(request, record)) [[unlikely]] {
      mark_faulty();
      return false;
    }
    requests_.pop();
    taken_ = true;
    return true;
  }
  /// Once per turn, behind `next`.
  void release() noexcept {
    if (!taken_) return;
    requests_.release();
    taken_ = false;
  }

  /// Queues an event. False: control is away, broken, or too slow; the caller counts it. Half of the ring is kept for
  /// answers, restarts and what was not delivered: a function that floods its log or control itself, or a network that punts,
  /// takes nobody's answer. `rights` stand before the body.
  [[nodiscard]] bool post(abi::ControlEvent event, std::span<const std::byte> body,
                          std::span<const abi::RightRef> rights = {}) noexcept {
    if (!attached_ || body.size() > abi::kBodyMax || rights.size() > abi::kCarriedRightsMax) return false;
    event.nb_rights = static_cast<std::uint8_t>(rights.size());
    event.length = static_cast<std::uint32_t>(abi::kRecordHeader + rights.size_bytes() + body.size());
    const auto type = static_cast<abi::ControlEventType>(event.type);
    const bool matters = type == abi::ControlEventType::answer || type == abi::ControlEventType::instance_event ||
                         type == abi::ControlEventType::undelivered;
    std::byte* record = events_.reserve(event.length, matters ? 0 : events_.capacity() / 2);
    if (record == nullptr) {
      if (events_.corrupt()) [[unlikely]]
        mark_faulty();
      return false;
    }
    std::memcpy(record, &event, sizeof event);
    if (!rights.empty()) std::memcpy(record + abi::kRecordHeader, rights.data(), rights.size_bytes());
    if (!body.empty()) std::memcpy(record + abi::kRecordHeader + rights.size_bytes(), body.data(), body.size());
    events_.commit();
    unpublished_ = true;
    return true;
  }
  /// Once per turn: makes queued events visible.
  void publish() noexcept {
    if (!unpublished_) return;
    events_.publish();
    unpublished_ = false;
  }

  [[nodiscard]] bool attached() const noexcept { return attached_; }
  [[nodiscard]] std::uint32_t incarnation() const noexcept { return incarnation_; }

 private:
  /// Rights and body of a record. False: it is shorter than it says, or names what can be no right.
  static bool read_rights(Request& request, const abi::RingRecord& record) noexcept {
    const std::size_t rights = sizeof(abi::RightRef) * request.header.nb_rights;
    if (request.header.nb_rights > abi::kCarriedRightsMax || record.length < abi::kRecordHeader + rights ||
        record.length - abi::kRecordHeader - rights > abi::kBodyMax)
      return false;
    if (rights != 0) std::memcpy(request.rights.data(), record.data + abi::kRecordHeader, rights);
    for (const abi::RightRef& right : request.carried())
      if (right.slot >= abi::kRightsMax || right.generation == 0) return false;
    request.body = {record.data + abi::kRecordHeader + rights, record.length - abi::kRecordHeader - rights};
    return true;
  }
  void attach() noexcept;
  void close() noexcept;
  void mark_faulty() noexcept;

  LinkCell* cell_;
  abi::ControlRingConsumer requests_;
  abi::RingProducer events_;
  std::uint32_t incarnation_ = 0;
  bool attached_ = false;
  bool taken_ = false;
  bool unpublished_ = false;
};

}  // namespace pgrid::dataplane
