// Measures each operation of the byte ring (abi/shared/byte_ring.hpp) alone, in bursts of 32 records, with bodies of
// `range(0)` bytes behind headers of 64:
//
//   write     reserve a record and fill it with ordinary stores, as workers do with replies
//   stream    the same past the cache, as poll cores do with requests (abi/shared/stream.hpp)
//   publish   once per burst: the fence and the store that show it
//   read      find a record, copy header and body, go past it
//   release   once per burst: the store that gives the space back
//
// `same_core`: both ends on one core, caches warm; `cold`: the ring's lines flushed and the caches walked over before each part;
// `two_cores`: the other end is on another core, which has had the lines last. The ring is a worker's request ring of 1 MiB.
#include <benchmark/benchmark.h>

#include <cstring>
#include <optional>

#include "bench/micro/timing.hpp"
#include "dataplane/limits.hpp"
#include "tests/dataplane/harness.hpp"

namespace pgrid::bench {
namespace {

constexpr std::uint32_t kCapacity = dataplane::kRequestRing;
constexpr std::uint32_t kBurst = abi::kBurst;

struct Times {
  Timing write, publish, read, release;
  void report(benchmark::State& state, bool stream) const {
    state.counters[stream ? "stream" : "write"] = write.ns_each();
    state.counters["publish"] = publish.ns_each();
    state.counters["read"] = read.ns_each();
    state.counters["release"] = release.ns_each();
  }
};

/// The producing end.
struct Writer {
  abi::RingProducer ring;
  bool stream;
  std::uint32_t length;  // of a record
  std::byte body[abi::kRecordMax] = {};

  bool burst(Times& times) {
    std::uint64_t began = ticks_now();
    for (std::uint32_t i = 0; i < kBurst; ++i) {
      std::byte* record = stream ? ring.reserve_lines(length) : ring.reserve(length);
      if (record == nullptr) return false;
      if (stream) {
        abi::stream_words(record, length, i);
        for (int word = 16; word < 64; word += 16) abi::stream_words(record + word, i, length);
        abi::stream_lines(record + abi::kRecordHeader, body, length - abi::kRecordHeader);
      } else {
        std::memcpy(record + sizeof(std::uint32_t), body + sizeof(std::uint32_t), length - sizeof(std::uint32_t));
      }
      ring.commit();
    }
    times.write.add(began, kBurst);
    return true;
  }
  void publish(Times& times) {
    const std::uint64_t began = ticks_now();
    ring.publish();
    times.publish.add(began, 1);
  }
};

/// The consuming end. Takes what is there, and says how many records that were.
struct Reader {
  abi::RingConsumer ring;
  std::byte copy[abi::kRecordMax] = {};

  std::uint32_t burst(Times& times) {
    const std::uint64_t began = ticks_now();
    std::uint32_t taken = 0;
    while (const abi::RingRecord record = ring.front()) {
      std::memcpy(copy, record.data, record.length);
      benchmark::DoNotOptimize(copy);
      ring.pop();
      ++taken;
    }
    if (taken != 0) times.read.add(began, taken);
    return taken;
  }
  void release(Times& times) {
    const std::uint64_t began = ticks_now();
    ring.release();
    times.release.add(began, 1);
  }
};

void same_core(benchmark::State& state, bool stream, bool is_cold) {
  if (const auto& all = cpus(); !all.empty()) pin_to(all[0]);
  test::AlignedMemory memory(abi::ring_bytes(kCapacity));
  const auto length = static_cast<std::uint32_t>(abi::kRecordHeader + state.range(0));
  Writer writer{{memory.get(), kCapacity}, stream, length};
  Reader reader{{memory.get(), kCapacity}};
  std::optional<Cold> cold;
  if (is_cold) cold.emplace();
  const auto cool = [&] {
    if (!cold) return;
    Cold::flush(memory.get(), abi::ring_bytes(kCapacity));
    cold->walk();
  };
  Times times;
  for (auto _ : state) {
    cool();
    if (!writer.burst(times)) return state.SkipWithError("the ring is full");
    cool();
    writer.publish(times);
    cool();
    if (reader.burst(times) != kBurst) return state.SkipWithError("records are missing");
    cool();
    reader.release(times);
  }
  times.report(state, stream);
}
BENCHMARK_CAPTURE(same_core, write, false, false)->Arg(64)->Arg(1024)->Iterations(20000);
BENCHMARK_CAPTURE(same_core, stream, true, false)->Arg(64)->Arg(1024)->Iterations(20000);
BENCHMARK_CAPTURE(same_core, write_cold, false, true)->Arg(64)->Arg(1024)->Iterations(40);
BENCHMARK_CAPTURE(same_core, stream_cold, true, true)->Arg(64)->Arg(1024)->Iterations(40);

/// The reader waits on the other core until a burst is published, takes it, and says so through a word of its own.
void two_cores(benchmark::State& state, bool stream) {
  const std::vector<int>& all = cpus();
  if (all.size() < 2) return state.SkipWithError("needs two CPUs, and may use one");
  pin_to(all[0]);
  test::AlignedMemory memory(abi::ring_bytes(kCapacity));
  const auto length = static_cast<std::uint32_t>(abi::kRecordHeader + state.range(0));
  Writer writer{{memory.get(), kCapacity}, stream, length};
  Times written;
  Times taken;
  alignas(64) std::atomic<std::uint64_t> published = 0;  // bursts
  alignas(64) std::atomic<std::uint64_t> read = 0;
  std::uint64_t bursts = 0;
  {
    Reader reader{{memory.get(), kCapacity}};
    std::uint64_t done = 0;
    const Partner partner(all[1], [&]() {
      if (published.load(std::memory_order_acquire) == done) return relax();
      (void)reader.burst(taken);
      reader.release(taken);
      read.store(++done, std::memory_order_release);
    });
    for (auto _ : state) {
      if (!writer.burst(written)) return state.SkipWithError("the ring is full");
      writer.publish(written);
      published.store(++bursts, std::memory_order_release);
      while (read.load(std::memory_order_acquire) != bursts) relax();
    }
  }
  written.read = taken.read;
  written.release = taken.release;
  written.report(state, stream);
}
BENCHMARK_CAPTURE(two_cores, write, false)->Arg(64)->Arg(1024)->Iterations(20000);
BENCHMARK_CAPTURE(two_cores, stream, true)->Arg(64)->Arg(1024)->Iterations(20000);

}  // namespace
}  // namespace pgrid::bench

BENCHMARK_MAIN();
