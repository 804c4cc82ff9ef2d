// One stage of the path: a request in a worker's ring, through its mailbox and a guest (one receive, one send), to an
// answer in the reply ring. 64-byte bodies, one thread that plays both ends of the rings; its own share (write a request,
// take an answer) is measured alone by Rings.
//
//   build/bench/micro/activation_bench
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include "bench/micro/timing.hpp"
#include "dataplane/worker/worker_core.hpp"
#include "drivers/wasm/module.hpp"

namespace pgrid::worker {
namespace {

constexpr abi::Geometry kGeometry{.poll_cores = 1,
                                  .workers = 1,
                                  .rights = 64,
                                  .in_flight = 4096,
                                  .request_ring = 1u << 20,
                                  .reply_ring = 4u << 20,
                                  .control_ring = 1u << 16,
                                  .processes = 1024};
constexpr std::size_t kBody = 64;
constexpr std::uint64_t kTscHz = 1'000'000'000;  // any: deadlines here are an hour away

/// Answers each message with its own body; offsets are those of pg_message in abi/guest/promisegrid.h.
constexpr std::string_view kEcho = R"((module
  (import "promisegrid" "receive" (func $receive (param i32 i32) (result i32)))
  (import "promisegrid" "send" (func $send (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "pg_activate") (local $length i32)
    (block $done (loop $more
      (br_if $done (i32.le_s (local.tee $length (call $receive (i32.const 0) (i32.const 1088))) (i32.const 0)))
      (i32.store8 (i32.const 1) (i32.const 1))
      (i32.store (i32.const 4) (i32.load (i32.const 8)))
      (i32.store (i32.const 8) (i32.const 0))
      (i64.store (i32.const 24) (i64.const 0))
      (drop (call $send (i32.const 0) (local.get $length)))
      (br $more))))))";

class Bench {
 public:
  /// As many places in the pool as are used: under valgrind there is no room for a thousand.
  explicit Bench(std::uint32_t processes)
      : engine_(*wasm::Engine::create({.instances = processes, .memory_max = 1u << 20})) {
    ticker_.watch(::pthread_self());
    const auto module = *wasm::Module::compile(engine_, *wasm::module_of_text(kEcho));
    for (std::uint32_t process = 0; process < processes; ++process) {
      auto slot = std::make_unique<InstanceSlot>();
      slot->process = process;
      slot->limits = {.memory_bytes = 1u << 20, .time_limit_us = 1000, .mailbox = 64};
      slot->code = *linker_.bind(module);
      if (!core_.attach(std::move(slot)).ok) std::abort();
    }
  }
  void request(std::uint32_t process) {
    abi::WorkerRequest header{};
    header.process = process;
    header.reply_slot = abi::send_once_slot(0, entry_++ & (kGeometry.in_flight - 1));
    header.deadline_us = ~0u;
    header.dispatched_tsc = started_;
    std::byte* record = requests_.reserve(abi::kRecordHeader + kBody);
    std::memcpy(record + 4, reinterpret_cast<std::byte*>(&header) + 4, sizeof header - 4);
    std::memset(record + sizeof header, 7, kBody);
    requests_.commit();
  }
  void publish() { requests_.publish(); }
  std::uint32_t take() {
    std::uint32_t taken = 0;
    for (; replies_.front(); ++taken) replies_.pop();
    replies_.release();
    return taken;
  }
  /// One turn, and another one when a quantum ended within it.
  bool serve(std::uint32_t count) {
    std::uint32_t taken = 0;
    for (int turns = 0; turns < 3 && taken != count; ++turns) {
      core_.turn();
      taken += take();
    }
    return taken == count;
  }
  void turn() { core_.turn(); }
  void flush_rings() { bench::Cold::flush(segment_.get(), abi::worker_rings_size(kGeometry)); }
  /// Plays the worker's part with nothing in it.
  std::uint32_t discard() {
    abi::RingConsumer& ring = own_;
    std::uint32_t taken = 0;
    for (; ring.front(); ++taken) ring.pop();
    ring.release();
    return taken;
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  static std::byte* make() {
    const std::size_t size = abi::round_up_64(abi::worker_rings_size(kGeometry));
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(64, size));
    std::memset(memory, 0, size);
    return memory;
  }
  std::unique_ptr<std::byte, Free> segment_{make()};
  wasm::Engine engine_;
  Ticker ticker_{engine_};
  WorkerCore core_{segment_.get(), kGeometry, 0, kTscHz, engine_, ticker_};
  const std::uint64_t started_ = core_.clock().now();
  wasm::Linker linker_ = *make_guest_linker(engine_, core_);
  abi::RingProducer requests_{segment_.get() + abi::request_ring_offset(kGeometry, 0), kGeometry.request_ring};
  abi::RingConsumer own_{segment_.get() + abi::request_ring_offset(kGeometry, 0), kGeometry.request_ring};
  abi::RingConsumer replies_{segment_.get() + abi::reply_ring_offset(kGeometry, 0), kGeometry.reply_ring};
  std::uint32_t entry_ = 0;
};

/// `range(0)` messages at once, all for one process.
void Activation(benchmark::State& state) {
  Bench bench(1);
  const auto burst = static_cast<std::uint32_t>(state.range(0));
  for (auto _ : state) {
    for (std::uint32_t i = 0; i < burst; ++i) bench.request(0);
    bench.publish();
    if (!bench.serve(burst)) state.SkipWithError("answers are missing");
  }
  state.SetItemsProcessed(state.iterations() * burst);
}

/// 32 messages at once, each for another of `range(0)` processes.
void ActivationOfMany(benchmark::State& state) {
  const auto processes = static_cast<std::uint32_t>(state.range(0));
  Bench bench(processes);
  std::uint32_t next = 0;
  for (auto _ : state) {
    for (std::uint32_t i = 0; i < 32; ++i) bench.request(next++ % processes);
    bench.publish();
    if (!bench.serve(32)) state.SkipWithError("answers are missing");
  }
  state.SetItemsProcessed(state.iterations() * 32);
}

/// The first, with cold caches: everything was walked over between writing the requests and the worker's turn.
void ActivationCold(benchmark::State& state) {
  Bench bench(1);
  bench::Cold cold;
  bench::Timing time;
  const auto burst = static_cast<std::uint32_t>(state.range(0));
  for (auto _ : state) {
    for (std::uint32_t i = 0; i < burst; ++i) bench.request(0);
    bench.publish();
    bench.flush_rings();
    cold.walk();
    const std::uint64_t began = bench::ticks_now();
    bench.turn();
    time.add(began, burst);
    const std::uint32_t taken = bench.take();  // another turn follows when a quantum ended within it
    if (taken != burst && !bench.serve(burst - taken)) state.SkipWithError("answers are missing");
  }
  state.counters["activation"] = time.ns_each();
}

/// What the bench itself does with a request ring: to subtract.
void Rings(benchmark::State& state) {
  Bench bench(1);
  const auto burst = static_cast<std::uint32_t>(state.range(0));
  for (auto _ : state) {
    for (std::uint32_t i = 0; i < burst; ++i) bench.request(0);
    bench.publish();
    if (bench.discard() != burst) state.SkipWithError("requests are missing");
  }
  state.SetItemsProcessed(state.iterations() * burst);
}

BENCHMARK(Activation)->Arg(1)->Arg(8)->Arg(32);
BENCHMARK(ActivationCold)->Arg(32)->Iterations(40);
BENCHMARK(ActivationOfMany)->Arg(32)->Arg(1024);
BENCHMARK(Rings)->Arg(1)->Arg(32);

}  // namespace
}  // namespace pgrid::worker

BENCHMARK_MAIN();
