// Requests that guests have read and not answered yet, found by the handle a guest answers with.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <span>

#include "abi/shared/geometry.hpp"
#include "abi/shared/records.hpp"

namespace pgrid::worker {

/// A guest's reply handle: bit 31 set, 14 low bits of the generation, poll core (3 bits), entry (14 bits). A guest can make
/// up any number; what counts is the table, which holds the whole right and the process it was given to. A stale handle
/// is taken for a new one only if the same process holds the same entry again 16,384 generations later.
class ReplyHandle {
 public:
  explicit constexpr ReplyHandle(std::uint32_t value) noexcept : value_(value) {}
  constexpr ReplyHandle(std::uint32_t slot, std::uint32_t generation) noexcept
      : value_(kMark | (generation & kGenerationMask) << 17 | abi::send_once_core(slot) << 14 | abi::send_once_entry(slot)) {}

  [[nodiscard]] static constexpr bool is_one(std::uint32_t handle) noexcept { return (handle & kMark) != 0; }
  [[nodiscard]] constexpr std::uint32_t value() const noexcept { return value_; }
  [[nodiscard]] constexpr std::uint32_t core() const noexcept { return value_ >> 14 & (abi::kPollCoresMax - 1); }
  [[nodiscard]] constexpr std::uint32_t entry() const noexcept { return value_ & (abi::kInFlightMax - 1); }
  [[nodiscard]] constexpr bool fits(std::uint32_t generation) const noexcept {
    return (value_ >> 17 & kGenerationMask) == (generation & kGenerationMask);
  }

 private:
  static constexpr std::uint32_t kMark = 1u << 31;
  static constexpr std::uint32_t kGenerationMask = (1u << 14) - 1;
  std::uint32_t value_;
};

/// One send-once right in a guest's hands. `slot` 0: none.
struct Outstanding {
  std::uint32_t slot;
  std::uint32_t generation;
  std::uint32_t process;
  std::uint32_t reserved;
};

/// One entry for each entry of every poll core's in-flight table, so nothing is searched and nothing runs out: an entry is
/// overwritten only when its poll core gave the number to a newer request, having settled the older one (deadline).
/// Owned by the worker thread.
class OutstandingTable {
 public:
  explicit OutstandingTable(const abi::Geometry& geometry)
      : in_flight_(geometry.in_flight),
        shift_(static_cast<std::uint32_t>(std::countr_zero(geometry.in_flight))),
        count_(std::size_t{geometry.poll_cores} * geometry.in_flight),
        entries_(new Outstanding[count_]()) {}

  /// Whether a send-once right of a ring record can be one of `poll_core`'s.
  [[nodiscard]] bool is_valid(std::uint32_t slot, std::uint32_t poll_core) const noexcept {
    return slot - abi::send_once_slot(poll_core, 0) < in_flight_;  // entries are the low bits
  }
  /// REQUIRES: is_valid(slot, its core).
  [[nodiscard]] Outstanding& at(std::uint32_t slot) noexcept {
    return entries_[(std::size_t{abi::send_once_core(slot)} << shift_) + abi::send_once_entry(slot)];
  }
  /// What `process` may answer with this handle, or nullptr: never given, answered, settled, or somebody else's.
  [[nodiscard]] Outstanding* find(ReplyHandle handle, std::uint32_t process) noexcept {
    const std::size_t index = (std::size_t{handle.core()} << shift_) + handle.entry();
    if (handle.entry() >= in_flight_ || index >= count_) return nullptr;
    Outstanding& found = entries_[index];
    return found.slot != 0 && found.process == process && handle.fits(found.generation) ? &found : nullptr;
  }
  /// Takes out everything that `process` holds, calling `visit(Outstanding)` for each. Walks the table: for rebuilds.
  template <typename Visit>
  void take_all(std::uint32_t process, Visit visit) noexcept {
    for (Outstanding& entry : std::span(entries_.get(), count_)) {
      if (entry.slot == 0 || entry.process != process) continue;
      visit(entry);
      entry.slot = 0;
    }
  }

 private:
  std::uint32_t in_flight_;  // a power of two
  std::uint32_t shift_;      // its logarithm
  std::size_t count_;
  std::unique_ptr<Outstanding[]> entries_;
};

}  // namespace pgrid::worker
