// Everything that a worker writes to poll cores. Answers always fit (abi/shared/segment.hpp); the rest may use what the
// answers' part leaves.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "abi/shared/byte_ring.hpp"
#include "abi/shared/prefetch.hpp"
#include "abi/shared/records.hpp"
#include "abi/shared/segment.hpp"

namespace pgrid::worker {

inline constexpr std::size_t kPrefetchAhead = 8 * 128;  // bytes: eight answers of 64 bytes; past the end it does no harm

/// Handles of the sender that a message takes along, as its record has them.
struct CarriedOut {
  std::uint32_t handles[abi::kCarriedRightsMax];
  std::uint8_t modes[abi::kCarriedRightsMax];
  std::uint64_t moved = 0;  // bit n: handle n is not the sender's any more
};

/// A guest's request on its way to its home poll core (abi::WorkerReply of type send).
struct GuestRequest {
  std::uint32_t process;
  std::uint32_t process_generation;
  std::uint32_t incarnation;
  std::uint32_t handle;
  std::uint32_t deadline_us;
  std::uint8_t hops;
  const CarriedOut* carried;  // nullptr: nothing
  std::uint64_t id;
};

/// What control is told about a process (abi::WorkerReply of type event).
struct InstanceEvent {
  std::uint32_t process;
  std::uint32_t process_generation;
  std::uint32_t incarnation;  // that serves now; 0: none
  std::uint32_t restarts;
  std::uint32_t back_off_ms;
  abi::Violation violation;
};

/// The reply rings of one worker. Owned by the worker thread. Nothing is seen before `publish`.
class ReplyWriter {
 public:
  ReplyWriter(std::byte* segment, const abi::Geometry& geometry) noexcept
      : cores_(geometry.poll_cores), answer_part_(abi::reply_ring_answer_part(geometry)) {
    for (std::uint32_t core = 0; core < cores_; ++core)
      rings_[core] = abi::RingProducer(segment + abi::reply_ring_offset(geometry, core), geometry.reply_ring);
  }

  /// False: the ring is full, which takes a poll core that dispatched more than it may.
  [[nodiscard]] bool answer(std::uint32_t process, std::uint32_t slot, std::uint32_t generation, abi::Kind kind,
                            abi::Reason reason, std::span<const std::byte> body) noexcept {
    const std::uint32_t core = abi::send_once_core(slot);
    abi::RingProducer* ring_at = &rings_[core];
    asm("" : "+r"(ring_at));  // one pointer: GCC 12 would work the address out anew for each of its members
    abi::RingProducer& ring = *ring_at;
    std::byte* record = ring.reserve(abi::kRecordHeader + static_cast<std::uint32_t>(body.size()));
    if (record == nullptr) [[unlikely]] return false;
    write(record, abi::ReplyType::answer, kind, reason, process, slot, generation, body);
    ring.commit();
    written_ |= 1u << core;
    return true;
  }

  /// A log line, by way of `core`. False: no room beside the answers' part; nothing is written.
  [[nodiscard]] bool log(std::uint32_t core, std::uint32_t process, std::span<const std::byte> text) noexcept {
    std::byte* record = reserve_beside_answers(core, text.size());
    if (record == nullptr) return false;
    write(record, abi::ReplyType::log, abi::Kind::notice, abi::Reason::none, process, 0, 0, text);
    commit(core);
    return true;
  }

  /// False: as `log`.
  [[nodiscard]] bool event(std::uint32_t core, const InstanceEvent& event, std::span<const std::byte> text) noexcept {
    std::byte* record = reserve_beside_answers(core, text.size());
    if (record == nullptr) return false;
    const abi::Reason reason = event.violation == abi::Violation::none ? abi::Reason::none : abi::Reason::broken;
    write(record, abi::ReplyType::event, abi::Kind::notice, reason, event.process, event.restarts, event.back_off_ms, text);
    auto& header = *reinterpret_cast<abi::WorkerReply*>(record);
    header.instance = event.incarnation;
    header.process_generation = event.process_generation;
    header.violation = static_cast<std::uint8_t>(event.violation);
    commit(core);
    return true;
  }

  /// False: as `log`.
  [[nodiscard]] bool request(std::uint32_t core, const GuestRequest& request, std::span<const std::byte> body) noexcept {
    std::byte* record = reserve_beside_answers(core, body.size());
    if (record == nullptr) return false;
    write(record, abi::ReplyType::send, abi::Kind::request, abi::Reason::none, request.process, request.handle, 0, body);
    auto& header = *reinterpret_cast<abi::WorkerReply*>(record);
    header.deadline_us = request.deadline_us;
    std::memcpy(header.id, &request.id, sizeof header.id);
    header.instance = request.incarnation;
    header.process_generation = request.process_generation;
    header.hops = request.hops;
    if (request.carried != nullptr) add(header, core, *request.carried);
    commit(core);
    return true;
  }
  /// As `answer`, with rights. `process_generation`: whose handles they are.
  [[nodiscard]] bool answer_carrying(std::uint32_t process, std::uint32_t process_generation, std::uint32_t slot,
                                     std::uint32_t generation, const CarriedOut& carried,
                                     std::span<const std::byte> body) noexcept {
    const std::uint32_t core = abi::send_once_core(slot);
    std::byte* record = rings_[core].reserve(abi::kRecordHeader + static_cast<std::uint32_t>(body.size()));
    if (record == nullptr) return false;
    write(record, abi::ReplyType::answer, abi::Kind::answer, abi::Reason::none, process, slot, generation, body);
    auto& header = *reinterpret_cast<abi::WorkerReply*>(record);
    header.process_generation = process_generation;
    add(header, core, carried);
    commit(core);
    return true;
  }
  /// Handles that a process gives back (abi::ReplyType::drop), and whether a notice was lost. False: as `log`.
  [[nodiscard]] bool drop(std::uint32_t core, std::uint32_t process, std::uint32_t process_generation,
                          std::uint64_t handles, bool notice_lost = false) noexcept {
    std::byte* record = reserve_beside_answers(core, sizeof handles);
    if (record == nullptr) return false;
    write(record, abi::ReplyType::drop, abi::Kind::notice, abi::Reason::none, process, notice_lost ? 1 : 0, 0,
          std::as_bytes(std::span(&handles, 1)));
    reinterpret_cast<abi::WorkerReply*>(record)->process_generation = process_generation;
    commit(core);
    return true;
  }
  /// Whether what was sent with rights by way of other poll cores than `core` has been taken there.
  [[nodiscard]] bool others_have_read(std::uint32_t core) noexcept {
    for (std::uint32_t other = 0; other < cores_; ++other)
      if (other != core && !rings_[other].is_read(carried_until_[other])) return false;
    return true;
  }

  void publish() noexcept {
    if (written_ == 0) return;
    for (std::uint32_t core = 0; core < cores_; ++core)
      if ((written_ >> core & 1) != 0) rings_[core].publish();
    written_ = 0;
  }
  /// A ring whose other end claims the impossible: nothing can be trusted or saved any more.
  [[nodiscard]] bool corrupt() const noexcept {
    return std::any_of(rings_, rings_ + cores_, [](const abi::RingProducer& ring) { return ring.corrupt(); });
  }

 private:
  /// Field by field, straight into the ring: a header built on the stack and copied would be read back wider than it was
  /// written, which stalls (half of an answer's cost, measured by bench/micro/activation_bench). `length` is the ring's.
  static void write(std::byte* record, abi::ReplyType type, abi::Kind kind, abi::Reason reason, std::uint32_t process,
                    std::uint32_t slot, std::uint32_t generation, std::span<const std::byte> body) noexcept {
    // The line was the poll core's to read a moment ago: fetch what comes after it before it is needed.
    abi::fetch_to_write(record + kPrefetchAhead);
    abi::fetch_to_write(record + kPrefetchAhead + 64);
    auto& header = *reinterpret_cast<abi::WorkerReply*>(record);
    header.type = static_cast<std::uint8_t>(type);
    header.kind = static_cast<std::uint8_t>(kind);
    header.reason = static_cast<std::uint16_t>(reason);
    header.process = process;
    header.to_slot = slot;
    header.to_generation = generation;
    std::memset(&header.deadline_us, 0, sizeof header - offsetof(abi::WorkerReply, deadline_us));
    if (!body.empty()) std::memcpy(record + sizeof header, body.data(), body.size());
  }
  [[nodiscard]] std::byte* reserve_beside_answers(std::uint32_t core, std::size_t body) noexcept {
    return rings_[core].reserve(abi::kRecordHeader + static_cast<std::uint32_t>(body), answer_part_);
  }
  void add(abi::WorkerReply& header, std::uint32_t core, const CarriedOut& carried) noexcept {
    std::memcpy(header.rights, carried.handles, sizeof header.rights);
    std::memcpy(header.rights_mode, carried.modes, sizeof header.rights_mode);
    carried_until_[core] = rings_[core].reserved_until();
  }
  void commit(std::uint32_t core) noexcept {
    rings_[core].commit();
    written_ |= 1u << core;
  }

  abi::RingProducer rings_[abi::kPollCoresMax];
  std::uint32_t cores_;
  std::uint32_t answer_part_;
  std::uint32_t written_ = 0;  // bit per poll core: committed, not published
  std::uint64_t carried_until_[abi::kPollCoresMax] = {};  // end of the last record with rights
};

}  // namespace pgrid::worker
