// A poll core's end of one worker: its ring pair, what it has in flight there, and how it comes and goes.
#pragma once

#include <cstdint>

#include "abi/shared/byte_ring.hpp"
#include "dataplane/link_cell.hpp"

namespace pgrid::dataplane {

/// Owned by one poll core. The protocol with the helper thread is in link_cell.hpp.
class WorkerLink {
 public:
  /// The last two are of a home poll core (abi/shared/segment.hpp); elsewhere a worker's functions send nothing.
  WorkerLink(LinkCell& cell, std::uint16_t worker, std::uint32_t in_flight_max, std::uint32_t answer_part = 0,
             std::uint32_t guest_requests_max = 0) noexcept
      : cell_(&cell),
        worker_(worker),
        in_flight_max_(in_flight_max),
        answer_part_(answer_part),
        guest_requests_max_(guest_requests_max) {}

  enum class State : std::uint8_t {
    absent,   // no rings
    usable,   // requests may go in when `serving`, replies are taken
    faulty,   // wrote nonsense: nothing goes in or out until the helper has replaced it
    closing,  // gone: its messages are being answered
  };

  /// Once per turn: takes up or gives up rings as the helper says.
  State follow() noexcept {
    switch (cell_->state.load(std::memory_order_acquire)) {
      case LinkState::empty:
        break;
      case LinkState::offered:
        attach();
        break;
      case LinkState::attached:
        break;
      case LinkState::retired:
        if (state_ == State::usable || state_ == State::faulty) {
          drain_ = state_ == State::usable;  // what it said before it died still counts; nonsense does not
          state_ = State::closing;
          settle_cursor = 0;
        }
        break;
    }
    return state_;
  }

  [[nodiscard]] State state() const noexcept { return state_; }
  /// Whether requests may be dispatched now.
  [[nodiscard]] bool serving() const noexcept {
    return state_ == State::usable && cell_->serving.load(std::memory_order_relaxed);
  }
  /// Whether replies may still be read.
  [[nodiscard]] bool readable() const noexcept {
    return state_ == State::usable || (state_ == State::closing && drain_);
  }
  [[nodiscard]] bool has_room() const noexcept { return in_flight < in_flight_max_; }
  /// Bytes of the request ring that requests leave free, for what comes of the functions' own requests.
  [[nodiscard]] std::uint32_t answer_part() const noexcept { return answer_part_; }
  /// Whether this poll core routes what its functions send.
  [[nodiscard]] bool is_home() const noexcept { return guest_requests_max_ != 0; }
  /// Whether its functions may have one more request waiting. An honest worker counts too.
  [[nodiscard]] bool may_ask() const noexcept { return guest_waiting < guest_requests_max_; }

  /// The worker wrote what makes no sense. The helper sees the word and replaces the process.
  void mark_faulty() noexcept {
    drain_ = false;
    if (state_ == State::usable) state_ = State::faulty;
    cell_->faulty.store(true, std::memory_order_release);
  }

  /// Once per burst: makes what was dispatched visible.
  void publish() noexcept {
    if (!unpublished) return;
    requests.publish();
    unpublished = false;
  }

  /// Everything it had is answered: the rings are never touched again. Pairs with LinkCell::is_empty.
  void close() noexcept {
    requests = {};
    replies = {};
    drain_ = false;
    state_ = State::absent;
    cell_->state.store(LinkState::empty, std::memory_order_release);
  }

  [[nodiscard]] std::uint16_t worker() const noexcept { return worker_; }
  [[nodiscard]] std::uint32_t incarnation() const noexcept { return incarnation_; }

  abi::RingProducer requests;
  abi::RingConsumer replies;
  std::uint32_t in_flight = 0;      // entries of this worker in the in-flight table
  std::uint32_t guest_waiting = 0;  // requests of its functions that have no answer in the ring yet
  std::uint32_t at_control = 0;     // of these, requests that control has
  std::uint32_t settle_cursor = 0;  // while closing: how far its entries are answered
  bool unpublished = false;         // requests were committed since the last publish

 private:
  void attach() noexcept;

  LinkCell* cell_;
  std::uint16_t worker_;
  bool drain_ = false;
  State state_ = State::absent;
  std::uint32_t in_flight_max_;
  std::uint32_t answer_part_;
  std::uint32_t guest_requests_max_;
  std::uint32_t incarnation_ = 0;
};

}  // namespace pgrid::dataplane
