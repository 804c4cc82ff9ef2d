// The byte ring: what goes in comes out, over every wrap, full and empty; what a hostile other side writes
// makes it corrupt and never leads outside. The tests with two threads also run under ThreadSanitizer (suite
// `ring`).
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "abi/shared/byte_ring.hpp"

namespace pgrid::abi {
namespace {

constexpr std::uint32_t kCapacity = 8192;  // the smallest power of two of at least 4 * kRecordMax = 4,352

struct Ring {
  struct Free {
    void operator()(std::byte* pointer) const { std::free(pointer); }
  };
  std::unique_ptr<std::byte, Free> memory{
      static_cast<std::byte*>(std::aligned_alloc(64, ring_bytes(kCapacity)))};
  Ring() { std::memset(memory.get(), 0, ring_bytes(kCapacity)); }
  [[nodiscard]] RingProducer producer() const { return {memory.get(), kCapacity}; }
  [[nodiscard]] RingConsumer consumer() const { return {memory.get(), kCapacity}; }
  /// What the other side might write.
  [[nodiscard]] RingHeader& header() const { return *reinterpret_cast<RingHeader*>(memory.get()); }
  [[nodiscard]] std::byte* data() const { return memory.get() + sizeof(RingHeader); }
  void set_length(std::uint64_t position, std::uint32_t length) const {
    std::memcpy(data() + position, &length, sizeof length);
  }
};

/// Lengths from 64 to kRecordMax in an order that meets every distance to the end.
std::uint32_t length_of(std::uint64_t n) {
  return kRecordHeader + static_cast<std::uint32_t>(n * 2654435761u % (kBodyMax + 1));
}

/// Record n: its length, n, then bytes that follow from n.
bool write_record(RingProducer& producer, std::uint64_t n) {
  const std::uint32_t length = length_of(n);
  std::byte* record = producer.reserve(length);
  if (record == nullptr) return false;
  std::memcpy(record + 8, &n, sizeof n);
  std::memset(record + 16, static_cast<int>(n & 0xff), length - 16);
  producer.commit();
  return true;
}
void check_record(const RingRecord& record, std::uint64_t n) {
  ASSERT_EQ(record.length, length_of(n));
  std::uint64_t found = 0;
  std::memcpy(&found, record.data + 8, sizeof found);
  ASSERT_EQ(found, n);
  ASSERT_EQ(record.data[16], static_cast<std::byte>(n & 0xff));
  ASSERT_EQ(record.data[record.length - 1], static_cast<std::byte>(n & 0xff));
}

/// As write_record, past the cache: whole words, the last one half a record's content and half zeros.
bool stream_record(RingProducer& producer, std::uint64_t n) {
  const std::uint32_t length = length_of(n);
  std::byte* record = producer.reserve_lines(length);
  if (record == nullptr) return false;
  const std::uint64_t byte = (n & 0xff) * 0x0101'0101'0101'0101;
  stream_words(record, length, n);
  for (std::uint32_t at = 16; at < kRecordHeader; at += 16) stream_words(record + at, byte, byte);
  const std::vector<std::byte> body(length - kRecordHeader, static_cast<std::byte>(n & 0xff));
  stream_lines(record + kRecordHeader, body.data(), body.size());
  producer.commit();
  return true;
}

TEST(Ring, StreamedRecordsKeepTheirOrderAndStayWithinTheirLines) {
  const Ring ring;
  RingProducer producer = ring.producer();
  RingConsumer consumer = ring.consumer();
  std::uint64_t written = 0;
  for (std::uint64_t read = 0; read < 20'000; ++read) {  // every other one is written through the cache
    while (written < read + 5 &&
           (written % 2 == 0 ? stream_record(producer, written) : write_record(producer, written)))
      ++written;
    producer.publish();
    const RingRecord record = consumer.front();
    ASSERT_TRUE(record);
    check_record(record, read);
    if (read % 2 == 0) {
      for (std::uint32_t i = record.length; i % 64 != 0; ++i) ASSERT_EQ(record.data[i], std::byte{0});
    }
    consumer.pop();
    consumer.release();
  }
  EXPECT_FALSE(consumer.corrupt() || producer.corrupt());
}

TEST(Ring, KeepsOrderOverManyWraps) {
  const Ring ring;
  RingProducer producer = ring.producer();
  RingConsumer consumer = ring.consumer();
  std::uint64_t written = 0;
  std::uint64_t read = 0;
  while (read < 20'000) {  // 20,000 * 576 bytes on average: about 1,400 times round
    while (written < read + 5 && write_record(producer, written)) ++written;
    producer.publish();
    const RingRecord record = consumer.front();
    ASSERT_TRUE(record);
    check_record(record, read++);
    consumer.pop();
    consumer.release();
  }
  EXPECT_FALSE(consumer.corrupt() || producer.corrupt());
}

TEST(Ring, IsEmptyUntilPublishedAndFullUntilReleased) {
  const Ring ring;
  RingProducer producer = ring.producer();
  RingConsumer consumer = ring.consumer();
  EXPECT_FALSE(consumer.front());
  std::uint32_t records = 0;
  while (producer.reserve(kRecordMax) != nullptr) {
    producer.commit();
    ++records;
  }
  EXPECT_EQ(records, kCapacity / kRecordMax);
  EXPECT_FALSE(consumer.front()) << "committed is not published";
  producer.publish();
  for (std::uint32_t i = 0; i < records; ++i) {
    ASSERT_TRUE(consumer.front());
    consumer.pop();
  }
  EXPECT_FALSE(consumer.front());
  EXPECT_EQ(producer.reserve(kRecordMax), nullptr) << "popped is not released";
  consumer.release();
  EXPECT_NE(producer.reserve(kRecordMax), nullptr);
}

TEST(Ring, FillsToTheLastByte) {
  const Ring ring;
  RingProducer producer = ring.producer();
  for (std::uint32_t i = 0; i < kCapacity / 64; ++i) {
    ASSERT_NE(producer.reserve(64), nullptr) << i;
    producer.commit();
  }
  EXPECT_EQ(producer.free_bytes(), 0u);
  EXPECT_EQ(producer.reserve(64), nullptr);
}

TEST(Ring, ReserveWithoutCommitTakesNothing) {
  const Ring ring;
  RingProducer producer = ring.producer();
  RingConsumer consumer = ring.consumer();
  for (int i = 0; i < 100; ++i) ASSERT_NE(producer.reserve(kRecordMax), nullptr);
  producer.publish();
  EXPECT_FALSE(consumer.front());
  EXPECT_EQ(producer.free_bytes(), kCapacity);
}

TEST(Ring, PadsBeforeTheEndAndGoesOnAtTheStart) {
  const Ring ring;
  RingProducer producer = ring.producer();
  RingConsumer consumer = ring.consumer();
  const auto pass = [&](std::uint32_t length) {
    std::byte* record = producer.reserve(length);
    ASSERT_NE(record, nullptr);
    producer.commit();
    producer.publish();
    const RingRecord found = consumer.front();
    ASSERT_EQ(found.data, record);
    ASSERT_EQ(found.length, length);
    consumer.pop();
    consumer.release();
  };
  for (int i = 0; i < 7; ++i) pass(kRecordMax);  // 7,616 of 8,192 bytes: 576 left
  pass(577);                                     // 640 rounded up: does not fit before the end
  EXPECT_EQ(ring.header().head.value.load() % kCapacity, 640u);
}

TEST(Ring, AnEndThatIsAttachedAgainGoesOn) {
  const Ring ring;
  RingProducer first = ring.producer();
  ASSERT_TRUE(write_record(first, 0));
  first.publish();
  RingProducer second = ring.producer();
  ASSERT_TRUE(write_record(second, 1));
  second.publish();
  RingConsumer consumer = ring.consumer();
  check_record(consumer.front(), 0);
  consumer.pop();
  consumer.release();
  RingConsumer successor = ring.consumer();
  check_record(successor.front(), 1);
  RingConsumer fresh(ring.memory.get(), kCapacity, /*at_tail=*/true);
  EXPECT_FALSE(fresh.front());
}

// ---- a hostile producer

TEST(HostileProducer, LengthsThatCannotBe) {
  for (const std::uint32_t length :
       {0u, 1u, kRecordHeader - 1, kRecordMax + 1, 4096u, 0x7fff'ffffu, 0x8000'0000u, 0xffff'ffffu,
        64u | kPadFlag, (kCapacity - 64) | kPadFlag}) {
    const Ring ring;
    RingConsumer consumer = ring.consumer();
    ring.set_length(0, length);
    ring.header().tail.value.store(4096);
    EXPECT_FALSE(consumer.front()) << length;
    EXPECT_TRUE(consumer.corrupt()) << length;
    ring.set_length(0, 64);
    EXPECT_FALSE(consumer.front()) << "corrupt is final";
  }
}

TEST(HostileProducer, RecordBeyondWhatWasPublished) {
  const Ring ring;
  RingConsumer consumer = ring.consumer();
  ring.set_length(0, 65);  // 128 bytes
  ring.header().tail.value.store(64);
  EXPECT_FALSE(consumer.front());
  EXPECT_TRUE(consumer.corrupt());
}

TEST(HostileProducer, RecordOverTheEnd) {
  const Ring ring;
  ring.header().head.value.store(kCapacity - 64);
  ring.header().tail.value.store(kCapacity + 1024);
  ring.set_length(kCapacity - 64, 128);
  RingConsumer consumer = ring.consumer();
  EXPECT_FALSE(consumer.front());
  EXPECT_TRUE(consumer.corrupt());
}

TEST(HostileProducer, PadThatDoesNotEndTheRing) {
  const Ring ring;
  ring.header().head.value.store(kCapacity - 128);
  ring.header().tail.value.store(kCapacity + 1024);
  ring.set_length(kCapacity - 128, 64 | kPadFlag);
  RingConsumer consumer = ring.consumer();
  EXPECT_FALSE(consumer.front());
  EXPECT_TRUE(consumer.corrupt());
}

TEST(HostileProducer, PadsForEverDoNotHang) {
  const Ring ring;
  RingConsumer consumer = ring.consumer();
  ring.set_length(0, kCapacity | kPadFlag);  // one pad as long as the ring
  ring.header().tail.value.store(kCapacity);
  EXPECT_FALSE(consumer.front());
  EXPECT_TRUE(consumer.corrupt()) << "a pad only fills what is too short for a record";
}

TEST(HostileProducer, IndicesThatCannotBe) {
  for (const std::uint64_t tail : {std::uint64_t{1}, std::uint64_t{63}, std::uint64_t{kCapacity} + 64,
                                   ~std::uint64_t{0}, ~std::uint64_t{63}}) {
    const Ring ring;
    RingConsumer consumer = ring.consumer();
    ring.set_length(0, 64);
    ring.header().tail.value.store(tail);
    EXPECT_FALSE(consumer.front()) << tail;
    EXPECT_TRUE(consumer.corrupt()) << tail;
  }
}

TEST(HostileProducer, TailThatGoesBack) {
  const Ring ring;
  RingProducer producer = ring.producer();
  RingConsumer consumer = ring.consumer();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(write_record(producer, 0));
  producer.publish();
  while (consumer.front()) consumer.pop();
  ring.header().tail.value.store(64);
  EXPECT_FALSE(consumer.front());
  EXPECT_TRUE(consumer.corrupt());
}

// The length that was checked is the one that is handed out, whatever the record says afterwards.
TEST(HostileProducer, LengthThatChangesAfterTheCheck) {
  const Ring ring;
  RingProducer producer = ring.producer();
  RingConsumer consumer = ring.consumer();
  ASSERT_TRUE(write_record(producer, 5));
  ASSERT_TRUE(write_record(producer, 6));
  producer.publish();
  const RingRecord record = consumer.front();
  ring.set_length(0, 0xffff'ffff);
  EXPECT_EQ(record.length, length_of(5));
  consumer.pop();
  check_record(consumer.front(), 6);
}

// ---- a hostile consumer

TEST(HostileConsumer, HeadsThatCannotBe) {
  for (const std::uint64_t head :
       {std::uint64_t{1}, std::uint64_t{128}, ~std::uint64_t{0}, std::uint64_t{1} << 63}) {
    const Ring ring;
    RingProducer producer = ring.producer();
    ASSERT_NE(producer.reserve(64), nullptr);
    producer.commit();
    producer.publish();
    ring.header().head.value.store(head);  // more than was written, or no multiple of 64
    EXPECT_EQ(producer.free_bytes(), 0u) << head;
    EXPECT_TRUE(producer.corrupt()) << head;
    EXPECT_EQ(producer.reserve(64), nullptr) << head;
  }
}

// Harms nobody but itself: the producer sees less room, never more.
TEST(HostileConsumer, HeadThatGoesBack) {
  const Ring ring;
  RingProducer producer = ring.producer();
  for (int i = 0; i < 4; ++i) {
    ASSERT_NE(producer.reserve(64), nullptr);
    producer.commit();
  }
  ring.header().head.value.store(128);
  EXPECT_EQ(producer.free_bytes(), kCapacity - 128);
  ring.header().head.value.store(64);
  EXPECT_EQ(producer.free_bytes(), kCapacity - 192);
}

TEST(HostileConsumer, ItsIndexAtTheStartIsNotBelieved) {
  const Ring ring;
  ring.header().head.value.store(7);
  EXPECT_TRUE(ring.producer().corrupt());
  EXPECT_TRUE(ring.consumer().corrupt());
}

// ---- two threads

TEST(TwoThreads, EverythingArrivesOnceAndInOrder) {
  constexpr std::uint64_t kRecords = 100'000;
  const Ring ring;
  std::thread writer([&ring] {
    RingProducer producer = ring.producer();
    for (std::uint64_t n = 0; n < kRecords;) {
      if (write_record(producer, n)) {
        if (++n % 7 == 0) producer.publish();
      } else {
        producer.publish();
        std::this_thread::yield();
      }
    }
    producer.publish();
  });
  RingConsumer consumer = ring.consumer();
  std::uint64_t n = 0;
  while (n < kRecords && !testing::Test::HasFatalFailure()) {
    if (const RingRecord record = consumer.front()) {
      check_record(record, n++);
      consumer.pop();
      if (n % 5 == 0) consumer.release();
    } else {
      consumer.release();
      std::this_thread::yield();
    }
  }
  consumer.release();
  writer.join();
  EXPECT_FALSE(consumer.front());
  EXPECT_FALSE(consumer.corrupt());
}

// A producer that writes nonsense over everything, again and again: the consumer may be corrupt, but stays
// within the ring.
TEST(TwoThreads, NonsenseNeverLeadsOutside) {
  const Ring ring;
  std::atomic<bool> stop{false};
  std::thread hostile([&] {
    std::uint64_t state = 1;
    while (!stop.load()) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      auto& word = *reinterpret_cast<std::uint32_t*>(ring.data() + (state >> 32) % (kCapacity / 64) * 64);
      const auto length = static_cast<std::uint32_t>(state >> 20 & 0x7ff);
      std::atomic_ref(word).store((state >> 60) == 0 ? length | kPadFlag : length, std::memory_order_relaxed);
      ring.header().tail.value.store(state >> 8 & 0x3fc0, std::memory_order_release);
    }
  });
  for (int attempt = 0; attempt < 2000; ++attempt) {
    RingConsumer consumer = ring.consumer();
    for (int i = 0; i < 100; ++i) {
      const RingRecord record = consumer.front();
      if (!record) {
        if (consumer.corrupt()) break;
        continue;
      }
      ASSERT_GE(record.data, ring.data());
      ASSERT_LE(record.data + record.length, ring.data() + kCapacity);
      ASSERT_GE(record.length, kRecordHeader);
      ASSERT_LE(record.length, kRecordMax);
      consumer.pop();
    }
    consumer.release();
  }
  stop.store(true);
  hostile.join();
}

}  // namespace
}  // namespace pgrid::abi
