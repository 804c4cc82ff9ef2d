// The right table: one 64-byte line per right, written by control under a sequence counter, read by poll cores without
// locks. It lives in a segment of its own; SegmentHeader, then `geometry.rights` slots.
//
// Writing (control, one thread): sequence becomes odd, the fields change, sequence becomes even. Reading: sequence, all
// fields, sequence again; odd or changed twice in a row means "being written", which the sender is told as `busy`.
// A control process that dies half-way leaves an odd sequence; its successor rewrites the slot from its store.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace pgrid::abi {

enum class Target : std::uint8_t {
  free = 0,     // never used, or released: its generation is that of the next use
  process = 1,
  pool = 2,     // later
  peer = 3,     // later
  revoked = 255,  // told apart from `free` by a counter only
};

// RightFields::permissions: what the holder may do.
inline constexpr std::uint8_t kMaySend = 1;    // send requests through it
inline constexpr std::uint8_t kMayDerive = 2;  // have narrower ones made from it, tokens included
inline constexpr std::uint8_t kMayCarry = 4;   // pass it on in a message
inline constexpr std::uint8_t kPermissionsAll = kMaySend | kMayDerive | kMayCarry;

/// The content of a slot. Field order is by size; nothing is padded.
struct RightFields {
  std::uint32_t sequence;          // even: stable
  std::uint32_t generation;        // rises at every reuse of the slot, also across restarts
  std::uint8_t key[16];            // random; compared in constant time
  std::uint64_t label;             // chosen by the receiver; written on every message through this right
  std::uint64_t expires_unix_ns;   // CLOCK_REALTIME; 0: never
  std::uint32_t target;            // process index
  std::uint16_t worker;            // where that process lives
  Target target_kind;
  std::uint8_t permissions;        // kMaySend, kMayDerive, kMayCarry
  std::uint32_t deadline_max_us;   // upper bound and default of a request's deadline
  std::uint16_t in_flight_max;     // requests through this right that may wait for an answer, per poll core
  std::uint16_t body_max;          // bytes, at most kBodyMax
  std::uint32_t rate;              // messages per second over all poll cores; 0: no limit
  std::uint32_t burst;             // messages; depth of the token bucket, over all poll cores
};
static_assert(sizeof(RightFields) == 64 && std::is_trivially_copyable_v<RightFields>);

struct alignas(64) RightSlot {
  std::uint64_t words[8];  // RightFields, word by word
};
static_assert(sizeof(RightSlot) == 64);

namespace detail {
inline std::atomic_ref<std::uint64_t> word(const RightSlot& slot, int i) noexcept {
  return std::atomic_ref<std::uint64_t>(const_cast<RightSlot&>(slot).words[i]);
}
inline std::uint32_t sequence_of(std::uint64_t first_word) noexcept {
  return static_cast<std::uint32_t>(first_word);  // little-endian: `sequence` is the low half
}
static_assert(std::endian::native == std::endian::little);
}  // namespace detail

/// Copies a slot that may be written at this moment. False: it was being written at both tries.
[[nodiscard]] inline bool read_right(const RightSlot& slot, RightFields& fields) noexcept {
  for (int attempt = 0; attempt < 2; ++attempt) {
    std::uint64_t copy[8];
    copy[0] = detail::word(slot, 0).load(std::memory_order_acquire);
    for (int i = 1; i < 8; ++i) copy[i] = detail::word(slot, i).load(std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_acquire);
    const std::uint64_t again = detail::word(slot, 0).load(std::memory_order_relaxed);
    if (copy[0] == again && (detail::sequence_of(again) & 1) == 0) [[likely]] {
      std::memcpy(&fields, copy, sizeof fields);
      return true;
    }
  }
  return false;
}

/// A slot as a poll core reads it: eight words, and fields taken out of them. Not RightFields, because a struct that was
/// stored word by word and is then read or copied wider than that waits for its own stores: a third of what authorizing
/// cost (measured with perf, bench/path).
class RightCopy {
 public:
  /// As read_right.
  [[nodiscard]] bool read(const RightSlot& slot) noexcept {
    for (int attempt = 0; attempt < 2; ++attempt) {
      words_[0] = detail::word(slot, 0).load(std::memory_order_acquire);
      for (int i = 1; i < 8; ++i) words_[i] = detail::word(slot, i).load(std::memory_order_relaxed);
      std::atomic_thread_fence(std::memory_order_acquire);
      const std::uint64_t again = detail::word(slot, 0).load(std::memory_order_relaxed);
      if (words_[0] == again && (detail::sequence_of(again) & 1) == 0) [[likely]] return true;
    }
    return false;
  }
  /// Takes the same time for all keys. `key`: 16 bytes.
  [[nodiscard]] bool has_key(const std::uint8_t* key) const noexcept {
    std::uint64_t low;
    std::uint64_t high;
    std::memcpy(&low, key, sizeof low);
    std::memcpy(&high, key + sizeof low, sizeof high);
    return ((words_[1] ^ low) | (words_[2] ^ high)) == 0;
  }
  [[nodiscard]] std::uint32_t generation() const noexcept { return part<std::uint32_t>(0, 32); }
  [[nodiscard]] std::uint64_t label() const noexcept { return words_[3]; }
  [[nodiscard]] std::uint64_t expires_unix_ns() const noexcept { return words_[4]; }
  [[nodiscard]] std::uint32_t target() const noexcept { return part<std::uint32_t>(5, 0); }
  [[nodiscard]] std::uint16_t worker() const noexcept { return part<std::uint16_t>(5, 32); }
  [[nodiscard]] Target target_kind() const noexcept { return static_cast<Target>(part<std::uint8_t>(5, 48)); }
  [[nodiscard]] std::uint8_t permissions() const noexcept { return part<std::uint8_t>(5, 56); }
  [[nodiscard]] std::uint32_t deadline_max_us() const noexcept { return part<std::uint32_t>(6, 0); }
  [[nodiscard]] std::uint16_t in_flight_max() const noexcept { return part<std::uint16_t>(6, 32); }
  [[nodiscard]] std::uint16_t body_max() const noexcept { return part<std::uint16_t>(6, 48); }
  [[nodiscard]] std::uint32_t rate() const noexcept { return part<std::uint32_t>(7, 0); }
  [[nodiscard]] std::uint32_t burst() const noexcept { return part<std::uint32_t>(7, 32); }

 private:
  template <typename T>
  [[nodiscard]] T part(int word, int shift) const noexcept {
    return static_cast<T>(words_[word] >> shift);
  }
  std::uint64_t words_[8] = {};
};
static_assert(offsetof(RightFields, generation) == 4 && offsetof(RightFields, key) == 8 &&
              offsetof(RightFields, label) == 24 && offsetof(RightFields, expires_unix_ns) == 32 &&
              offsetof(RightFields, target) == 40 && offsetof(RightFields, worker) == 44 &&
              offsetof(RightFields, target_kind) == 46 && offsetof(RightFields, permissions) == 47 &&
              offsetof(RightFields, deadline_max_us) == 48 && offsetof(RightFields, in_flight_max) == 52 &&
              offsetof(RightFields, body_max) == 54 && offsetof(RightFields, rate) == 56 &&
              offsetof(RightFields, burst) == 60);

/// Publishes `fields` (whose `sequence` is ignored). One writer at a time, which is control's one thread.
inline void write_right(RightSlot& slot, RightFields fields) noexcept {
  const std::uint64_t first = detail::word(slot, 0).load(std::memory_order_relaxed);
  const std::uint32_t odd = detail::sequence_of(first) | 1;
  detail::word(slot, 0).store((first & ~std::uint64_t{0xffffffff}) | odd, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  std::uint64_t copy[8];
  fields.sequence = odd + 1;
  std::memcpy(copy, &fields, sizeof fields);
  for (int i = 1; i < 8; ++i) detail::word(slot, i).store(copy[i], std::memory_order_relaxed);
  detail::word(slot, 0).store(copy[0], std::memory_order_release);
}

}  // namespace pgrid::abi
