// Messages that wait for a process: bounded lists over one pool of buffers, made at start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "abi/shared/geometry.hpp"
#include "abi/shared/records.hpp"

namespace pgrid::worker {

inline constexpr std::uint32_t kNoMessage = ~0u;

/// One waiting message: the checked copy of its record.
struct alignas(64) Message {
  abi::WorkerRequest header;
  std::byte body[abi::kBodyMax];
  std::uint32_t body_length;
  std::uint32_t poll_core;      // whose ring it came from
  std::uint32_t next;           // in its mailbox, or in the pool's free list
  std::uint32_t offered;        // activations that were offered it and returned without reading it
};

/// Buffers of one worker, taken last in first out so that few of them stay in the cache and the rest is never touched.
class MessagePool {
 public:
  /// Its pages are not touched before they are used: an idle worker stays small.
  explicit MessagePool(std::uint32_t messages) : messages_(new Message[messages]), size_(messages) {}
  ~MessagePool() { delete[] messages_; }
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
  [[nodiscard]] Message& operator[](std::uint32_t index) noexcept { return messages_[index]; }

 private:
  Message* messages_;
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
  }
  /// Takes the oldest out; its buffer is the caller's to give back. REQUIRES: not empty.
  std::uint32_t pop(MessagePool& pool) noexcept {
    const std::uint32_t index = first_;
    first_ = pool[index].next;
    --count_;
    return index;
  }

 private:
  std::uint32_t first_ = kNoMessage;
  std::uint32_t last_ = kNoMessage;
  std::uint32_t count_ = 0;
};

}  // namespace pgrid::worker
