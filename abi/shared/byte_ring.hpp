// A byte ring between two threads or processes: packed records, each rounded up to 64 bytes, one producer, one consumer.
//
// Layout: RingHeader (128 bytes: the producer's index, then the consumer's, a cache line each), then `capacity` bytes.
// Indices count bytes since the beginning and never wrap (2^64 bytes at 100 GB/s last 5 years); the position is
// index & (capacity - 1). A record is contiguous: where the rest before the end is too short, a pad record fills it.
//
// Trust: each side believes its own index and checks the other's. A consumer reads a record's length once, checks it,
// and hands out the checked copy; bytes behind it may change at any time if the producer is hostile, so read each field
// once. An impossible index or length makes the ring `corrupt()`, which is final; the owner decides what follows.
//
// Measured (DESIGN section 6), two processes, guest call included, 64-byte messages: packed 28 ns, fixed slots 59 ns.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "abi/shared/geometry.hpp"
#include "abi/shared/stream.hpp"

namespace pgrid::abi {

struct alignas(64) RingIndex {
  std::atomic<std::uint64_t> value;
  std::uint8_t padding[56];
};
struct RingHeader {
  RingIndex tail;  // written by the producer
  RingIndex head;  // written by the consumer
};
static_assert(sizeof(RingIndex) == 64 && sizeof(RingHeader) == 128);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

inline constexpr std::uint32_t kPadFlag = 1u << 31;  // of a record's length: nothing here, go on at the ring's start

constexpr std::size_t ring_bytes(std::uint32_t capacity) { return sizeof(RingHeader) + capacity; }

/// Writing end. Owned by one thread. Records become visible at `publish()`: once per burst.
class RingProducer {
 public:
  RingProducer() = default;
  /// `memory` is ring_bytes(capacity) long, 64-byte aligned, and zero before first use; an end that is attached again
  /// goes on where the indices stand. REQUIRES: capacity is a power of two of at least 4 * kRecordMax.
  RingProducer(std::byte* memory, std::uint32_t capacity) noexcept
      : header_(reinterpret_cast<RingHeader*>(memory)),
        data_(memory + sizeof(RingHeader)),
        capacity_(capacity),
        tail_(header_->tail.value.load(std::memory_order_relaxed)) {
    refresh_head();
  }

  /// Contiguous room for one record of `length` bytes (64 to what its reader takes), or nullptr when the ring is full. The record's
  /// first four bytes are its length and are written here. Nothing is taken until `commit`. `kept`: bytes that stay free.
  [[nodiscard]] std::byte* reserve(std::uint32_t length, std::uint32_t kept = 0) noexcept {
    std::byte* record = reserve_lines(length, kept);
    if (record != nullptr) store_length(record, length);
    return record;
  }
  /// The same for a record whose lines are streamed (stream.hpp): its length is the caller's to write.
  [[nodiscard]] std::byte* reserve_lines(std::uint32_t length, std::uint32_t kept = 0) noexcept {
    const std::uint64_t size = round_up_64(length);
    const std::uint64_t position = tail_ & (capacity_ - 1);
    const std::uint64_t to_end = capacity_ - position;
    const std::uint64_t pad = size > to_end ? to_end : 0;
    if (free_cached() < pad + size + kept) {
      refresh_head();
      if (free_cached() < pad + size + kept) return nullptr;
    }
    if (pad != 0) store_length(data_ + position, static_cast<std::uint32_t>(pad) | kPadFlag);
    reserved_ = pad + size;
    return data_ + ((tail_ + pad) & (capacity_ - 1));
  }

  /// Takes what `reserve` gave.
  void commit() noexcept {
    tail_ += reserved_;
    reserved_ = 0;
  }

  /// Makes all committed records visible. Pairs with the acquire in RingConsumer::front.
  void publish() noexcept {
    stream_fence();
    header_->tail.value.store(tail_, std::memory_order_release);
  }

  /// Bytes free at this moment; a record may need up to its size more for the pad before the end.
  [[nodiscard]] std::uint64_t free_bytes() noexcept {
    refresh_head();
    return free_cached();
  }
  /// The end of the record that `reserve` gave, for `is_read`.
  [[nodiscard]] std::uint64_t reserved_until() const noexcept { return tail_ + reserved_; }
  /// Whether the consumer has released everything up to there.
  [[nodiscard]] bool is_read(std::uint64_t until) noexcept {
    if (head_ < until) refresh_head();
    return head_ >= until;
  }
  [[nodiscard]] bool corrupt() const noexcept { return corrupt_; }
  [[nodiscard]] std::uint32_t capacity() const noexcept { return capacity_; }

 private:
  [[nodiscard]] std::uint64_t free_cached() const noexcept { return corrupt_ ? 0 : capacity_ - (tail_ - head_); }
  void refresh_head() noexcept {
    const std::uint64_t head = header_->head.value.load(std::memory_order_acquire);
    if (tail_ - head > capacity_ || (head & 63) != 0 || (tail_ & 63) != 0) [[unlikely]] {
      corrupt_ = true;  // the consumer claims what was never written
      return;
    }
    head_ = head;
  }
  static void store_length(std::byte* record, std::uint32_t length) noexcept {
    std::atomic_ref(*reinterpret_cast<std::uint32_t*>(record)).store(length, std::memory_order_relaxed);
  }

  RingHeader* header_ = nullptr;
  std::byte* data_ = nullptr;
  std::uint32_t capacity_ = 0;
  bool corrupt_ = false;
  std::uint64_t tail_ = 0;      // ours
  std::uint64_t head_ = 0;      // the consumer's, as last read and checked
  std::uint64_t reserved_ = 0;  // by the reserve that is under way
};

/// One record as the consumer found it. `length` is the checked copy; the one in the record must not be read again.
struct RingRecord {
  const std::byte* data = nullptr;
  std::uint32_t length = 0;  // bytes, header included; kRecordHeader to the longest of the ring
  [[nodiscard]] explicit operator bool() const noexcept { return data != nullptr; }
};

/// Reading end. Owned by one thread. Space is given back at `release()`: once per burst. `kLongest`: bytes of the longest record
/// that it takes, header included.
template <std::uint32_t kLongest>
class BasicRingConsumer {
 public:
  static constexpr std::uint64_t kFetchAhead = 8 * 128;  // bytes: eight messages of 64 bytes, or two of the longer ones

  BasicRingConsumer() = default;
  /// As RingProducer's constructor. `at_tail` skips what is there: for an end that was lost and starts afresh.
  BasicRingConsumer(std::byte* memory, std::uint32_t capacity, bool at_tail = false) noexcept
      : header_(reinterpret_cast<RingHeader*>(memory)),
        data_(memory + sizeof(RingHeader)),
        capacity_(capacity),
        head_(at_tail ? header_->tail.value.load(std::memory_order_acquire)
                      : header_->head.value.load(std::memory_order_relaxed)),
        tail_(head_) {
    if ((head_ & 63) != 0) corrupt_ = true;
    if (at_tail) release();
  }

  /// The oldest record, or nothing. Stays valid until `release`.
  [[nodiscard]] RingRecord front() noexcept {
    for (;;) {
      if (head_ == tail_ && !refresh_tail()) return {};
      const std::uint64_t position = head_ & (capacity_ - 1);
      const std::uint64_t available = tail_ - head_;
      const std::uint32_t length =
          std::atomic_ref(*reinterpret_cast<std::uint32_t*>(data_ + position)).load(std::memory_order_relaxed);
      if ((length & kPadFlag) != 0) [[unlikely]] {
        const std::uint64_t pad = length & ~kPadFlag;
        // Shorter than any record, so never two in a row: nobody is kept here by a ring full of pads.
        if (pad >= round_up_64(kLongest) || pad != capacity_ - position || pad > available) return broken();
        head_ += pad;
        continue;
      }
      const std::uint64_t size = round_up_64(length);
      if (length < kRecordHeader || length > kLongest || size > available || size > capacity_ - position)
        [[unlikely]]
        return broken();
      size_ = size;
      return {data_ + position, length};
    }
  }

  /// Goes past the record that `front` gave. Its bytes stay until `release`.
  void pop() noexcept {
    const std::uint64_t ahead = size_ <= kFetchAhead / 2 ? kFetchAhead : 2 * size_;
    fetch(head_ + ahead, head_ + ahead + size_);
    head_ += size_;
    size_ = 0;
  }

  /// A word of the record that lies so many bytes ahead, if one begins there: for guessing what to fetch. 0: nothing is published
  /// there. REQUIRES: a multiple of 64, and an offset below 64.
  [[nodiscard]] std::uint32_t guess(std::uint64_t ahead, std::uint32_t offset) const noexcept {
    if (tail_ - head_ <= ahead) return 0;
    const std::byte* at = data_ + ((head_ + ahead) & (capacity_ - 1)) + offset;
    return std::atomic_ref(*reinterpret_cast<std::uint32_t*>(const_cast<std::byte*>(at))).load(std::memory_order_relaxed);
  }

  /// Gives the space of all popped records back. Pairs with the acquire in RingProducer.
  void release() noexcept { header_->head.value.store(head_, std::memory_order_release); }

  [[nodiscard]] bool corrupt() const noexcept { return corrupt_; }

 private:
  bool refresh_tail() noexcept {
    if (corrupt_) return false;
    const std::uint64_t tail = header_->tail.value.load(std::memory_order_acquire);
    if (tail - head_ > capacity_ || (tail & 63) != 0) [[unlikely]] {
      corrupt_ = true;
      return false;
    }
    tail_ = tail;
    fetch(head_, head_ + kFetchAhead);
    return tail_ != head_;
  }
  /// Brings published lines nearer before they are read: a line takes longer from another core than a message takes here.
  /// Never behind the tail: those lines are the producer's to write, and would have to go back first.
  void fetch(std::uint64_t from, std::uint64_t to) const noexcept {
    const std::uint64_t end = to < tail_ ? to : tail_;
    for (; from < end; from += 64) __builtin_prefetch(data_ + (from & (capacity_ - 1)));
  }
  RingRecord broken() noexcept {
    corrupt_ = true;
    tail_ = head_;
    return {};
  }

  RingHeader* header_ = nullptr;
  std::byte* data_ = nullptr;
  std::uint32_t capacity_ = 0;
  bool corrupt_ = false;
  std::uint64_t head_ = 0;  // ours
  std::uint64_t tail_ = 0;  // the producer's, as last read and checked
  std::uint64_t size_ = 0;  // of the record that front() gave
};
using RingConsumer = BasicRingConsumer<kRecordMax>;                // between poll cores and workers
using ControlRingConsumer = BasicRingConsumer<kControlRecordMax>;  // between poll cores and control

}  // namespace pgrid::abi
