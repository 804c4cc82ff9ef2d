// Which rights each process holds: what the handles of a function stand for. The helper thread writes those that control
// grants (SetHandle), poll cores give out and take back those that come with messages; nobody takes a lock.
//
// 64 words per process index: word 0 names the process that has the index now, word n is handle n. A word names its process
// too, by the low 12 bits of the generation, so that what a poll core writes for a process that is gone meanwhile is worth
// nothing to the next one under the index. Pages are touched when a process is loaded, by the helper: poll cores find them
// there.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "abi/shared/geometry.hpp"
#include "drivers/base/result.hpp"

namespace pgrid::dataplane {

/// What a handle leads to, as a poll core found it.
struct HeldRight {
  enum class Verdict : std::uint8_t {
    held,
    none,     // not held, not any more, or by an earlier process of that index
    foreign,  // the process lives on another worker
  };
  Verdict verdict = Verdict::none;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
};

/// One writer of grants, the helper thread; many poll cores. Outlives them.
class HandleTable {
 public:
  /// Address space for every process index of a node: 65,536 of 512 bytes, 32 MiB, of which only what is used is memory.
  [[nodiscard]] static Result<HandleTable> create() {
    void* memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return fail_errno("reserve the handle table", errno);
    return HandleTable(static_cast<Line*>(memory));
  }
  HandleTable(HandleTable&& other) noexcept : lines_(std::exchange(other.lines_, nullptr)) {}
  HandleTable& operator=(HandleTable&& other) noexcept {
    std::swap(lines_, other.lines_);
    return *this;
  }
  ~HandleTable() {
    if (lines_ != nullptr) ::munmap(lines_, kBytes);
  }

  // ---- helper thread. REQUIRES: process < kProcessesMax, slot < kRightsMax, and a handle that is_grant

  /// The index has a new process, which holds nothing. Generation 0 names nobody.
  void begin(std::uint32_t process, std::uint32_t generation, std::uint32_t worker) noexcept {
    Line& line = lines_[process];
    for (std::size_t i = 1; i < abi::kHandlesMax; ++i) line.words[i].store(0, std::memory_order_relaxed);
    line.words[0].store(owner_word({generation, worker}), std::memory_order_release);  // behind the clearing: see `find`
  }
  /// The index is free.
  void end(std::uint32_t process) noexcept { begin(process, 0, 0); }
  /// The process holds the right, or with right_generation 0 nothing, under that handle.
  void set(std::uint32_t process, std::uint32_t handle, std::uint32_t slot, std::uint32_t right_generation) noexcept {
    const Owner owner = owner_of(process);
    lines_[process].words[handle].store(right_generation == 0 ? 0 : word_of(owner.generation, {slot, right_generation}),
                                        std::memory_order_release);
  }
  /// Its worker is another one by now, whose instance holds nothing that came with messages. REQUIRES: no poll core has
  /// messages for the process on their way.
  void forget_carried(std::uint32_t process) noexcept {
    for (std::size_t i = abi::kFirstCarried; i < abi::kHandlesMax; ++i)
      lines_[process].words[i].store(0, std::memory_order_release);
  }

  // ---- poll cores. REQUIRES: process < kProcessesMax and handle < kHandlesMax: whoever passes a worker's numbers has
  // checked them

  struct Owner {
    std::uint32_t generation = 0;  // 0: nobody
    std::uint32_t worker = 0;
    bool operator==(const Owner&) const = default;
  };
  [[nodiscard]] Owner owner_of(std::uint32_t process) const noexcept {
    const std::uint64_t word = lines_[process].words[0].load(std::memory_order_acquire);
    return {low(word), high(word)};
  }

  /// What `handle` of that process, which `worker` claims to run, leads to.
  [[nodiscard]] HeldRight find(std::uint32_t process, std::uint32_t generation, std::uint32_t worker,
                               std::uint32_t handle) const noexcept {
    // The index may get another process meanwhile. The owner is read before, so that a new process is not given what the
    // old one held, and after, so that the old one is not given what the new one holds.
    const Owner owner = owner_of(process);
    const std::uint64_t word = lines_[process].words[handle].load(std::memory_order_acquire);
    if (generation == 0 || owner.generation != generation) return {};
    if (owner.worker != worker) return {.verdict = HeldRight::Verdict::foreign};
    if (!is_held(word, generation) || owner_of(process) != owner) return {};
    return {HeldRight::Verdict::held, low(word) & (abi::kRightsMax - 1), high(word)};
  }

  /// Gives each right a free handle, from kFirstCarried on, all or none: `handles` has as many places. False: so many are
  /// not free, or the index has another owner by now.
  [[nodiscard]] bool give(std::uint32_t process, const Owner& owner, std::span<const abi::RightRef> rights,
                          std::uint32_t* handles) const noexcept {
    if (owner.generation == 0 || owner_of(process) != owner) return false;
    std::size_t given = 0;
    for (std::uint32_t handle = abi::kFirstCarried; handle < abi::kHandlesMax && given < rights.size(); ++handle) {
      std::uint64_t word = lines_[process].words[handle].load(std::memory_order_relaxed);
      if (is_held(word, owner.generation)) continue;
      if (lines_[process].words[handle].compare_exchange_strong(word, word_of(owner.generation, rights[given]),
                                                                std::memory_order_acq_rel))
        handles[given++] = handle;
    }
    if (given == rights.size() && owner_of(process) == owner) return true;
    while (given != 0) {
      --given;
      (void)take(process, handles[given], owner.generation, rights[given]);
    }
    return false;
  }

  /// The process holds that right under that handle no more. False: it did not.
  bool take(std::uint32_t process, std::uint32_t handle, std::uint32_t generation, const abi::RightRef& right) const noexcept {
    std::uint64_t word = word_of(generation, right);
    return lines_[process].words[handle].compare_exchange_strong(word, 0, std::memory_order_acq_rel);
  }
  /// The same, whatever right it is. The generation's lower bits decide: REQUIRES that owner_of was asked.
  void drop(std::uint32_t process, std::uint32_t handle, std::uint32_t generation) const noexcept {
    std::uint64_t word = lines_[process].words[handle].load(std::memory_order_acquire);
    if (is_held(word, generation)) (void)lines_[process].words[handle].compare_exchange_strong(word, 0, std::memory_order_acq_rel);
  }

 private:
  struct alignas(64) Line {
    std::atomic<std::uint64_t> words[abi::kHandlesMax];
  };
  static_assert(sizeof(Line) == 512 && std::atomic<std::uint64_t>::is_always_lock_free);
  static constexpr std::size_t kBytes = abi::kProcessesMax * sizeof(Line);
  static constexpr std::uint32_t kSlotBits = 20;
  static_assert(abi::kRightsMax == 1u << kSlotBits);

  explicit HandleTable(Line* lines) noexcept : lines_(lines) {}

  static constexpr std::uint64_t pack(std::uint32_t low, std::uint32_t high) noexcept {
    return low | static_cast<std::uint64_t>(high) << 32;
  }
  static constexpr std::uint32_t low(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word); }
  static constexpr std::uint32_t high(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word >> 32); }

  static constexpr std::uint64_t owner_word(const Owner& owner) noexcept { return pack(owner.generation, owner.worker); }
  /// Slot, low bits of the process generation, generation of the right, which is not 0.
  static constexpr std::uint64_t word_of(std::uint32_t generation, const abi::RightRef& right) noexcept {
    return pack((right.slot & (abi::kRightsMax - 1)) | generation << kSlotBits, right.generation);
  }
  static constexpr bool is_held(std::uint64_t word, std::uint32_t generation) noexcept {
    return high(word) != 0 && low(word) >> kSlotBits == (generation & ((1u << (32 - kSlotBits)) - 1));
  }

  Line* lines_;
};

}  // namespace pgrid::dataplane
