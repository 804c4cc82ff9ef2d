// Which rights each process holds: what the handles of a function stand for. The helper thread writes it as control says
// (SetHandle), poll cores read it without a lock.
//
// Two cache lines per process index: word 0 names the process that has the index now, then one word per handle. Pages are
// touched when a process is loaded, by the helper: poll cores find them there.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
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

/// One writer, the helper thread; many readers. Outlives both.
class HandleTable {
 public:
  /// Address space for every process index of a node: 65,536 of 128 bytes, 8 MiB, of which only what is used is memory.
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

  // ---- helper thread. REQUIRES: process < kProcessesMax, and a handle that is_grant

  /// The index has a new process, which holds nothing. Generation 0 names nobody.
  void begin(std::uint32_t process, std::uint32_t generation, std::uint32_t worker) noexcept {
    Line& line = lines_[process];
    for (std::size_t i = 1; i < kWords; ++i) line.words[i].store(0, std::memory_order_relaxed);
    line.words[0].store(pack(generation, worker), std::memory_order_release);  // behind the clearing: see `find`
  }
  /// The index is free.
  void end(std::uint32_t process) noexcept { begin(process, 0, 0); }
  /// The process holds the right, or with right_generation 0 nothing, under that handle.
  void set(std::uint32_t process, std::uint32_t handle, std::uint32_t slot, std::uint32_t right_generation) noexcept {
    const std::uint64_t word = right_generation == 0 ? 0 : pack(slot, right_generation);
    word_of(process, handle).store(word, std::memory_order_release);
  }

  // ---- poll cores. The same REQUIRES: whoever passes a worker's numbers has checked them

  /// What `handle` of that process, which `worker` claims to run, leads to.
  [[nodiscard]] HeldRight find(std::uint32_t process, std::uint32_t generation, std::uint32_t worker,
                               std::uint32_t handle) const noexcept {
    // The index may get another process meanwhile. Word 0 is read before, so that a new process is not given what the old
    // one held, and after, so that the old one is not given what the new one holds.
    const std::atomic<std::uint64_t>& owner = lines_[process].words[0];
    const std::uint64_t before = owner.load(std::memory_order_acquire);
    const std::uint64_t word = word_of(process, handle).load(std::memory_order_acquire);
    if (generation == 0 || low(before) != generation) return {};
    if (high(before) != worker) return {.verdict = HeldRight::Verdict::foreign};
    if (word == 0 || owner.load(std::memory_order_relaxed) != before) return {};
    return {HeldRight::Verdict::held, low(word), high(word)};
  }

 private:
  static constexpr std::size_t kWords = 1 + abi::kGrantsMax;
  struct alignas(128) Line {
    std::atomic<std::uint64_t> words[kWords];  // generation | worker << 32, then slot | right's generation << 32
  };
  static_assert(sizeof(Line) == 128 && std::atomic<std::uint64_t>::is_always_lock_free);
  static constexpr std::size_t kBytes = abi::kProcessesMax * sizeof(Line);

  explicit HandleTable(Line* lines) noexcept : lines_(lines) {}

  static constexpr std::uint64_t pack(std::uint32_t low, std::uint32_t high) noexcept {
    return low | static_cast<std::uint64_t>(high) << 32;
  }
  static constexpr std::uint32_t low(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word); }
  static constexpr std::uint32_t high(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word >> 32); }
  [[nodiscard]] std::atomic<std::uint64_t>& word_of(std::uint32_t process, std::uint32_t handle) const noexcept {
    return lines_[process].words[1 + handle - abi::kFirstGrant];
  }

  Line* lines_;
};

}  // namespace pgrid::dataplane
