// Measures the stages that touch rights, rings and tables, and a whole turn of a poll core, on one core:
// authorize, dispatch with collect (the worker's part is a plain copy loop in between, counted with it), a
// ring hop alone. Bursts of 32, bodies of 64 bytes, rights spread over the table so that each message has
// lines of its own.
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "tests/dataplane/harness.hpp"

namespace pgrid {
namespace {

using test::FakeWorker;
using test::Harness;

constexpr std::size_t kBurst = 32;
constexpr std::uint32_t kRights = 65536;
constexpr abi::Geometry kGeometry{1, 1, kRights, 4096, 1u << 20, 4u << 20, 1u << 18, 256};

void report(benchmark::State& state) {
  state.counters["ns/message"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kBurst * 1e-9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

/// 4,096 requests to as many rights, a body each, and everything that they pass.
struct Bench {
  static constexpr std::size_t kMessages = 4096;
  explicit Bench(std::uint32_t rate = 0) : node(kGeometry), rate_(rate) {
    for (std::size_t i = 0; i < kMessages; ++i) {
      const auto slot =
          static_cast<std::uint32_t>(i * 40503 % kRights);  // spread: no prefetcher guesses the next
      node.write_right({slot, 1, Harness::kKey}, [&](auto& fields) {
        fields.rate = rate_;
        fields.burst = ~0u;
        fields.deadline_max_us = 1'000'000;
      });
      rights[i] = dataplane::RightOnWire(slot, 1, flatbuffers::make_span(Harness::kKey));
      messages[i] = {.to = &rights[i], .body = body};
    }
    worker = &node.attach_worker();
    link.follow();
  }
  Harness node;
  std::uint32_t rate_;
  std::vector<std::byte> body{64};
  std::vector<dataplane::RightOnWire> rights{kMessages};
  std::vector<dataplane::MessageView> messages{kMessages};
  FakeWorker* worker = nullptr;
  dataplane::TickRate ticks{test::kHz};
  dataplane::Authorizer authorizer{node.slots, node.stats.accounts(0), 1, ticks};
  dataplane::InFlightTable in_flight{0, kGeometry.in_flight, 1};
  dataplane::WorkerLink link{node.cells.worker(0, 0), 0, abi::worker_in_flight_max(kGeometry)};
};

void authorize(benchmark::State& state, std::uint32_t rate) {
  Bench bench(rate);
  std::size_t next = 0;
  for (auto _ : state) {
    for (std::size_t i = 0; i < kBurst; ++i) bench.authorizer.prefetch(bench.rights[next + i].slot());
    for (std::size_t i = 0; i < kBurst; ++i) {
      auto request = bench.authorizer.authorize(bench.messages[next + i], test::kHz, 1);
      benchmark::DoNotOptimize(request);
    }
    next = (next + kBurst) % Bench::kMessages;
  }
  report(state);
}
BENCHMARK_CAPTURE(authorize, no_limit, 0);
BENCHMARK_CAPTURE(authorize, with_rate, 1'000'000'000);

/// A record of 128 bytes written, published once per burst, read and released by the same thread.
void ring_hop(benchmark::State& state) {
  FakeWorker worker(kGeometry, 1);
  abi::RingProducer producer(worker.rings().to_peer, worker.rings().to_capacity);
  std::byte record[128] = {};
  for (auto _ : state) {
    for (std::size_t i = 0; i < kBurst; ++i) {
      std::byte* place = producer.reserve(sizeof record);
      std::memcpy(place + 4, record + 4, sizeof record - 4);
      producer.commit();
    }
    producer.publish();
    while (const abi::RingRecord taken = worker.requests.front()) {
      std::memcpy(record + 4, taken.data + 4, sizeof record - 4);
      worker.requests.pop();
    }
    worker.requests.release();
    benchmark::DoNotOptimize(record);
  }
  report(state);
}
BENCHMARK(ring_hop);

/// What the worker would do, without any function: every request is answered with its own body.
void echo(Bench& bench) {
  abi::WorkerRequest request;
  while (const abi::RingRecord record = bench.worker->requests.front()) {
    std::memcpy(&request, record.data, sizeof request);
    abi::WorkerReply reply = FakeWorker::answer_to(request);
    std::byte* place = bench.worker->replies.reserve(record.length);
    std::memcpy(place + 4, reinterpret_cast<const std::byte*>(&reply) + 4, sizeof reply - 4);
    std::memcpy(place + sizeof reply, record.data + sizeof reply, record.length - sizeof reply);
    bench.worker->replies.commit();
    bench.worker->requests.pop();
  }
  bench.worker->requests.release();
  bench.worker->replies.publish();
}

/// authorize, dispatch, echo, collect, release of the in-flight entry; no frames.
void dispatch_and_collect(benchmark::State& state) {
  Bench bench;
  const dataplane::Sender sender{.kind = dataplane::SenderKind::control};
  std::size_t next = 0;
  for (auto _ : state) {
    for (std::size_t i = 0; i < kBurst; ++i) bench.authorizer.prefetch(bench.rights[next + i].slot());
    for (std::size_t i = 0; i < kBurst; ++i) {
      const auto request = bench.authorizer.authorize(bench.messages[next + i], test::kHz, 1);
      if (!request || dispatch(**request, sender, bench.link, bench.in_flight, bench.ticks, test::kHz))
        return state.SkipWithError("a message was refused");
    }
    bench.link.publish();
    echo(bench);
    abi::WorkerReply reply;
    for (;;) {
      dataplane::Collected collected;
      collect(bench.link, bench.in_flight, reply, collected);
      if (collected.what != dataplane::Collected::What::outcome) break;
      auto* account =
          bench.authorizer.account_of(collected.entry->right_slot, collected.entry->right_generation);
      account->in_flight.store(account->in_flight.load(std::memory_order_relaxed) - 1,
                               std::memory_order_relaxed);
      --bench.link.in_flight;
      bench.in_flight.release(*collected.entry);
    }
    bench.link.replies.release();
    next = (next + kBurst) % Bench::kMessages;
  }
  report(state);
}
BENCHMARK(dispatch_and_collect);

}  // namespace
}  // namespace pgrid

BENCHMARK_MAIN();
