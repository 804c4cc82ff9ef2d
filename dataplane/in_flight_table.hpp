// What a poll core has given to workers and not answered yet. Each entry is the send-once right that its
// receiver answers with: DESIGN section 4.
//
// Two cache lines per entry: what a reply is checked against, and where its answer goes. Entries are taken
// last-in first-out, so few lines stay warm; the generation rises at every release, so whoever still holds
// the right of an earlier message cannot answer a later one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "abi/shared/geometry.hpp"
#include "abi/shared/records.hpp"
#include "dataplane/parse.hpp"
#include "dataplane/return_path.hpp"

namespace pgrid::dataplane {

/// Who waits for an answer, and whose: a worker's, or (last) control's.
enum class SenderKind : std::uint8_t { wire, control, guest, guest_asks_control };

/// InFlight::worker of a request that control has.
inline constexpr std::uint16_t kNoWorker = 0xffff;
static_assert(abi::kWorkersMax < kNoWorker);

/// A function that asked another: where what comes of it goes.
struct GuestAsker {
  std::uint16_t worker;       // whose home poll core this is
  std::uint8_t hops;          // of its request: functions passed, the asking one included
  std::uint32_t incarnation;  // of the worker's link: its successor has not asked
  std::uint32_t process;
  std::uint32_t process_generation;
  std::uint32_t instance;  // the worker's number for it; it comes back with the answer
};

struct Sender {
  SenderKind kind = SenderKind::wire;
  std::uint32_t control_incarnation = 0;  // of control: which one asked
  const GuestAsker* guest = nullptr;      // of a function
  const Frame* frame = nullptr;           // of the wire: what brought it, and where
  const PortIdentity* port = nullptr;
  std::uint16_t port_id = 0;
  bool alone = false;                     // no more than a few came with it
};

struct alignas(64) InFlight {
  InFlight() noexcept : next_free(0), guest{} {}
  std::uint32_t generation = 0;  // of the send-once right; never 0 once handed out
  std::uint16_t worker = 0;
  SenderKind sender{};
  bool in_use = false;
  std::uint32_t process;
  std::uint32_t right_slot;  // the right it came through, for the account
  std::uint32_t right_generation;
  union {
    std::uint32_t control_incarnation;  // in use
    std::uint32_t next_free;            // not in use
  };
  std::uint64_t deadline_tsc;
  std::uint64_t dispatched_tsc;
  std::array<std::uint8_t, 8> id;  // the sender's
  union {
    RightOnWire reply_to;  // of the wire: the sender's, if it gave one
    GuestAsker guest;      // of a function
  };
  ReturnPath path;  // of the wire
  bool has_reply_to;
};
static_assert(sizeof(InFlight) == 128);

/// Entries swept per turn: a whole default table (4,096) is looked at every 256 turns, about 1 ms at load.
inline constexpr std::uint32_t kSweepPerTurn = 16;
/// And in a turn that found nothing else to do: sleeping up to 100 us a turn, a whole table takes 1.6 ms.
inline constexpr std::uint32_t kSweepPerIdleTurn = 256;

/// Owned by one poll core. Everything is allocated at construction.
class InFlightTable {
 public:
  /// REQUIRES: entries is a power of two, at most abi::kInFlightMax. Generations start at random, so that a
  /// right from before a restart does not fit.
  InFlightTable(std::uint32_t poll_core, std::uint32_t entries, std::uint32_t first_generation);

  /// A free entry, marked in use, or nullptr when all are. The caller fills it.
  [[nodiscard]] InFlight* take() noexcept {
    if (free_head_ == kNone) return nullptr;
    InFlight& entry = entries_[free_head_];
    const std::uint32_t index = free_head_;
    free_head_ = entry.next_free;
    entry.in_use = true;
    ++in_use_;
    if (index >= swept_end_) swept_end_ = index + 1;
    return &entry;
  }

  /// Consumes the send-once right: whoever names it from now on is late.
  void release(InFlight& entry) noexcept {
    entry.in_use = false;
    if (++entry.generation == 0) entry.generation = 1;
    entry.next_free = free_head_;
    free_head_ = index_of(entry);
    if (--in_use_ == 0) swept_end_ = 0;
  }

  /// Brings an entry nearer before `find`. Any number is safe.
  void fetch(std::uint32_t slot) const noexcept {
    const InFlight* entry = &entries_[slot & (size_ - 1)];  // entries are the low bits
    __builtin_prefetch(entry, 1);
    __builtin_prefetch(reinterpret_cast<const std::byte*>(entry) + 64);
  }

  enum class Verdict : std::uint8_t {
    waiting,   // the entry waits for this
    late,      // answered already: an older generation
    nonsense,  // no right that was ever handed out
  };
  struct Found {
    Verdict verdict;
    InFlight* entry;
  };
  /// Which message a reply is for. Both words come from a worker and may be anything.
  [[nodiscard]] Found find(std::uint32_t slot, std::uint32_t generation) noexcept {
    const std::uint32_t index = abi::send_once_entry(slot);
    if (slot != abi::send_once_slot(poll_core_, index) || index >= size_) return {Verdict::nonsense, nullptr};
    InFlight& entry = entries_[index];
    if (entry.generation == generation)  // a free entry's generation was not handed out yet
      return entry.in_use ? Found{Verdict::waiting, &entry} : Found{Verdict::nonsense, nullptr};
    // Half of all generations lie behind: serial number arithmetic (RFC 1982).
    const bool older = static_cast<std::int32_t>(entry.generation - generation) > 0;
    return {older ? Verdict::late : Verdict::nonsense, nullptr};
  }

  /// The next entry whose deadline has passed, looking at no more than `budget`
  /// entries, which is counted down.
  [[nodiscard]] InFlight* next_expired(std::uint64_t now_tsc, std::uint32_t& budget) noexcept {
    while (in_use_ != 0 && budget != 0) {
      --budget;
      if (sweep_ >= swept_end_) sweep_ = 0;
      InFlight& entry = entries_[sweep_++];
      if (entry.in_use && static_cast<std::int64_t>(now_tsc - entry.deadline_tsc) >= 0) return &entry;
    }
    return nullptr;
  }

  /// The next entry in use at or behind `cursor`, which moves past it; nullptr at the end of the table. For
  /// settling what a dead worker had, and at the end everything.
  [[nodiscard]] InFlight* next_in_use(std::uint32_t& cursor) noexcept {
    while (cursor < swept_end_) {
      InFlight& entry = entries_[cursor++];
      if (entry.in_use) return &entry;
    }
    return nullptr;
  }

  [[nodiscard]] std::uint32_t slot_of(const InFlight& entry) const noexcept {
    return abi::send_once_slot(poll_core_, index_of(entry));
  }
  [[nodiscard]] std::uint32_t in_use() const noexcept { return in_use_; }
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

 private:
  static constexpr std::uint32_t kNone = ~0u;
  [[nodiscard]] std::uint32_t index_of(const InFlight& entry) const noexcept {
    return static_cast<std::uint32_t>(&entry - entries_.get());
  }

  std::uint32_t poll_core_;
  std::uint32_t size_;
  std::unique_ptr<InFlight[]> entries_;
  std::uint32_t free_head_ = 0;
  std::uint32_t in_use_ = 0;
  std::uint32_t sweep_ = 0;
  std::uint32_t swept_end_ = 0;  // no entry at or behind this is in use
};

}  // namespace pgrid::dataplane
