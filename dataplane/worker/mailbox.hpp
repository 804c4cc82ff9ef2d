// Messages that wait for a process: bounded lists over one pool, made at start. A message stays in its ring while guests
// run, and a guest reads it from there; only what no guest read by the end of a turn is copied to the pool's own memory,
// for the ring's space is given back then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "abi/shared/geometry.hpp"
#include "abi/shared/records.hpp"

namespace pgrid::worker {

inline constexpr std::uint32_t kNoMessage = ~0u;

/// In place of a send-once right: what came of a request that the process sent itself. No right has this number.
inline constexpr std::uint32_t kOwnAnswer = 1;
/// Likewise: a notice for this instance and no other.
inline constexpr std::uint32_t kOwnNotice = 2;
static_assert(!abi::is_send_once(kOwnAnswer) && !abi::is_send_once(kOwnNotice));

/// One waiting message. Half a cache line: a burst of 32 stays within 16 lines.
struct alignas(32) Message {
  const std::byte* record;         // WorkerRequest and body: in a request ring, or in the pool
  std::uint32_t body_length;       // checked by the ring
  std::uint32_t reply_slot;        // checked send-once right, kOwnAnswer or kOwnNotice; 0: nobody waits for an answer
  std::uint32_t reply_generation;
  std::uint32_t offered;           // activations that were offered it and returned without reading it
  std::uint32_t next;              // in its mailbox, or in the pool's free list
};
static_assert(sizeof(Message) == 32);

/// Messages of one worker, taken last in first out so that few of them stay in the cache and the rest is never touched.
class MessagePool {
 public:
  /// Its pages are not touched before they are used: an idle worker stays small.
  explicit MessagePool(std::uint32_t messages)
      : messages_(new Message[messages]), records_(new Record[messages]), size_(messages) {}
  ~MessagePool() {
    delete[] messages_;
    delete[] records_;
  }
  MessagePool(const MessagePool&) = delete;
  MessagePool& operator=(const MessagePool&) = delete;

  /// An index, or kNoMessage when all are taken.
  [[nodiscard]] std::uint32_t take() noexcept {
    if (free_ != kNoMessage) {
      const std::uint32_t index = free_;
      free_ = messages_[index].next;
      return index;
    }
    return used_ < size_ ? used_++ : kNoMessage;
  }
  void give_back(std::uint32_t index) noexcept {
    messages_[index].next = free_;
    free_ = index;
  }
  /// Copies a message that is still in its ring.
  void keep(std::uint32_t index) noexcept {
    Message& message = messages_[index];
    std::memcpy(records_[index].bytes, message.record, abi::kRecordHeader + message.body_length);
    message.record = records_[index].bytes;
  }
  [[nodiscard]] Message& operator[](std::uint32_t index) noexcept { return messages_[index]; }

 private:
  struct alignas(64) Record {
    std::byte bytes[abi::kRecordMax];
  };
  Message* messages_;
  Record* records_;  // one for each message
  std::uint32_t size_;
  std::uint32_t used_ = 0;  // of those never taken before
  std::uint32_t free_ = kNoMessage;
};

/// Oldest first. Owned by the worker thread, as the pool is.
class Mailbox {
 public:
  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  /// REQUIRES: not empty.
  [[nodiscard]] std::uint32_t front() const noexcept { return first_; }

  void push(MessagePool& pool, std::uint32_t index) noexcept {
    pool[index].next = kNoMessage;
    if (count_++ == 0)
      first_ = index;
    else
      pool[last_].next = index;
    last_ = index;
    if (first_in_ring_ == kNoMessage) first_in_ring_ = index;
  }
  /// Takes the oldest out; its buffer is the caller's to give back. REQUIRES: not empty.
  std::uint32_t pop(MessagePool& pool) noexcept {
    const std::uint32_t index = first_;
    first_ = pool[index].next;
    if (first_in_ring_ == index) first_in_ring_ = first_;
    --count_;
    return index;
  }
  /// Takes out every message for which `drop(index)` is true; its buffer is `drop`'s to give back. For restarts.
  template <typename Drop>
  void remove_if(MessagePool& pool, Drop drop) noexcept {
    std::uint32_t before = kNoMessage;
    for (std::uint32_t index = first_; count_ != 0 && index != kNoMessage;) {
      const std::uint32_t next = pool[index].next;
      if (!drop(index)) {
        before = index;
      } else {
        (before == kNoMessage ? first_ : pool[before].next) = next;
        if (last_ == index) last_ = before;
        if (first_in_ring_ == index) first_in_ring_ = next;
        --count_;
      }
      index = next;
    }
  }
  /// Copies what is still in a ring.
  void keep(MessagePool& pool) noexcept {
    for (std::uint32_t index = first_in_ring_; index != kNoMessage; index = pool[index].next) pool.keep(index);
    first_in_ring_ = kNoMessage;
  }

 private:
  std::uint32_t first_ = kNoMessage;
  std::uint32_t last_ = kNoMessage;
  std::uint32_t first_in_ring_ = kNoMessage;  // it and all behind it were not copied yet
  std::uint32_t count_ = 0;
};

}  // namespace pgrid::worker
