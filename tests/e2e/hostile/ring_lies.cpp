// Lies about where the rings begin and end, and about the lengths of records.
#include <cstring>

#include "tests/e2e/hostile/lies.hpp"

namespace pgrid::tests {
namespace {

constexpr char kCorrupt[] = "worker_ring_corrupt";
constexpr char kMalformed[] = "reply_malformed";

std::string hex(std::uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "%#llx", static_cast<unsigned long long>(value));
  return text;
}

/// Both ends anew, from what stands in the segment.
void attach_anew(Seat& seat) {
  seat.requests = abi::RingConsumer(reinterpret_cast<std::byte*>(seat.request_header), seat.geometry.request_ring, true);
  seat.replies = abi::RingProducer(reinterpret_cast<std::byte*>(seat.reply_header), seat.geometry.reply_ring);
}

/// A record of this length where the next one belongs, with nothing in it, and `published` bytes from there.
void put_length(Seat& seat, std::uint32_t length, std::uint64_t published) {
  const std::uint64_t tail = seat.reply_header->tail.value.load();
  const std::uint64_t position = tail & (seat.geometry.reply_ring - 1);
  std::memset(seat.reply_data, 0, seat.geometry.reply_ring);
  std::memcpy(seat.reply_data + position, &length, sizeof length);
  seat.reply_header->tail.value.store(tail + published);
  attach_anew(seat);
}

std::vector<std::uint64_t> extremes(std::uint64_t capacity) {
  return {0,        1,           63,        64,        65,        capacity - 64, capacity - 1,         capacity, capacity + 1, capacity + 64,
          1u << 31, 1ull << 32, 1ull << 63, ~0ull >> 1, ~0ull - 63, ~0ull - 64,    ~0ull};
}

}  // namespace

Lies reply_tail_lies(Seat& seat) {
  Lies lies;
  for (const std::uint64_t value : extremes(seat.geometry.reply_ring))
    // The data plane has read nothing yet, and nothing was written: every other value claims records that are not there.
    lies.push_back({"the reply ring's tail is " + hex(value), value == 0 ? "lives" : kCorrupt,
                    [value](Seat& s) { s.reply_header->tail.value.store(value); }});
  return lies;
}

Lies reply_length_lies(Seat& seat) {
  Lies lies;
  const std::uint32_t capacity = seat.geometry.reply_ring;
  constexpr std::uint32_t kPublished = 4096;
  for (const std::uint32_t length : {0u, 1u, 63u, 64u, 65u, 1024u, abi::kRecordMax, abi::kRecordMax + 1, kPublished, kPublished + 1,
                                     capacity - 64, capacity - 1, capacity, capacity + 1, 0x7fff'ffffu,  //
                                     abi::kPadFlag, abi::kPadFlag | 1, abi::kPadFlag | 64, abi::kPadFlag | kPublished,
                                     abi::kPadFlag | (capacity - 64), abi::kPadFlag | capacity, abi::kPadFlag | (capacity + 1), ~0u}) {
    const bool is_record = length >= abi::kRecordHeader && length <= abi::kRecordMax;  // then it is of type 0
    lies.push_back({"a record of " + hex(length) + " bytes", is_record ? kMalformed : kCorrupt,
                    [length](Seat& s) { put_length(s, length, kPublished); }});
  }
  lies.push_back({"a ring that is one pad", kCorrupt,
                  [capacity](Seat& s) { put_length(s, abi::kPadFlag | capacity, capacity); }});
  for (const std::uint32_t length : {65u, 128u, abi::kRecordMax})
    lies.push_back({"a record of " + hex(length) + " bytes, of which 64 are published", kCorrupt,
                    [length](Seat& s) { put_length(s, length, 64); }});
  for (const std::uint32_t length : {65u, 128u, abi::kRecordMax, abi::kPadFlag, abi::kPadFlag | 1, abi::kPadFlag | 63,
                                     abi::kPadFlag | 65, abi::kPadFlag | 128, abi::kPadFlag | capacity, ~0u})
    lies.push_back({"a record of " + hex(length) + " bytes, 64 before the end", kCorrupt, [length, capacity](Seat& s) {
                      s.advance_to(capacity - 64);
                      put_length(s, length, abi::kRecordMax);
                    }});
  lies.push_back({"a pad as it should be, and nothing behind it", "lives", [capacity](Seat& s) {
                    s.advance_to(capacity - 64);
                    put_length(s, abi::kPadFlag | 64, 64);
                    s.answer(s.take());  // the pad is passed when something follows
                  }});
  return lies;
}

Lies request_head_lies(Seat& seat) {
  Lies lies;
  const std::uint64_t capacity = seat.geometry.request_ring;
  // The data plane looks at this word when it needs room, so requests must come: the test sends large ones.
  const auto tell = [capacity](Seat& s, const std::function<std::uint64_t(std::uint64_t)>& head_at) {
    while (s.request_header->tail.value.load() <= 2 * capacity + 64) (void)s.take();  // so that small values lie behind
    s.request_header->head.value.store(head_at(s.request_header->tail.value.load()));
  };
  for (const std::uint64_t value : extremes(capacity))
    lies.push_back({"the request ring's head is " + hex(value), kCorrupt,
                    [=](Seat& s) { tell(s, [value](std::uint64_t) { return value; }); }});
  for (const std::uint64_t ahead : {std::uint64_t{1}, std::uint64_t{63}, capacity, capacity + 64, std::uint64_t{1} << 62})
    lies.push_back({"the request ring's head is " + hex(ahead) + " ahead of its tail", kCorrupt,
                    [=](Seat& s) { tell(s, [ahead](std::uint64_t tail) { return tail + (2ull << 20) + ahead; }); }});
  lies.push_back({"the request ring's head is one record too far behind", kCorrupt,
                  [=](Seat& s) { tell(s, [capacity](std::uint64_t tail) { return tail - capacity - 64; }); }});
  lies.push_back({"all was read that was not", "lives", [=](Seat& s) {
                    tell(s, [](std::uint64_t tail) { return tail; });
                    idle(s, 100);
                    attach_anew(s);
                    s.answer(s.take());
                  }});
  return lies;
}

Lies foreign_word_lies(Seat& seat) {
  Lies lies;
  const std::uint64_t capacity = seat.geometry.request_ring;
  for (const std::uint64_t value : extremes(capacity)) {
    lies.push_back({"the data plane's tail is overwritten with " + hex(value), "lives", [value](Seat& s) {
                      auto& word = s.request_header->tail.value;
                      word.store(value);
                      while (word.load() == value) s.pump();  // it never reads what it wrote there: the next request mends it
                      attach_anew(s);
                      s.answer(s.take());
                    }});
    lies.push_back({"the data plane's head is overwritten with " + hex(value), "lives", [value](Seat& s) {
                      const Given given = s.take();
                      s.reply_header->head.value.store(value);
                      s.answer(given);
                    }});
  }
  for (const int fill : {0, 0xff}) {
    lies.push_back({"the segment's header is overwritten with " + hex(static_cast<std::uint64_t>(fill)), "lives", [fill](Seat& s) {
                      std::memset(static_cast<void*>(s.segment.data()), fill, sizeof(abi::SegmentHeader));
                      s.answer(s.take());
                    }});
    lies.push_back({"the worker's line is overwritten with " + hex(static_cast<std::uint64_t>(fill)), "lives", [fill](Seat& s) {
                      std::memset(static_cast<void*>(s.segment.data() + sizeof(abi::SegmentHeader)), fill, sizeof(abi::WorkerLine));
                      s.answer(s.take());
                    }});
  }
  return lies;
}

}  // namespace pgrid::tests
