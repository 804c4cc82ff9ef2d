// Measures what owning packets costs against bare mbuf pointers: a burst comes in, every packet is looked at
// and handed to the next queue, or dropped. Both sides do the same loads, stores and frees; the difference is
// the price of ownership. One core, mbufs warm in its cache.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "drivers/dpdk/eal.hpp"
#include "drivers/dpdk/mbuf_pool.hpp"
#include "drivers/dpdk/packet_burst.hpp"

namespace pgrid::dpdk {
namespace {

constexpr std::uint32_t kMbufs = 1023;

MbufPool* pool = nullptr;  // made by main, which owns it

/// Stands in for a driver: gives the same 32 mbufs again and again, and takes them back.
class Loop {
 public:
  Loop() {
    (void)pool->alloc_bulk(mbufs_, kBurstMax);
    for (rte_mbuf* mbuf : mbufs_) rte_pktmbuf_append(mbuf, 64);
  }
  ~Loop() { rte_pktmbuf_free_bulk(mbufs_, kBurstMax); }
  [[gnu::noinline]] std::uint16_t rx(rte_mbuf** mbufs) {
    std::copy_n(mbufs_, kBurstMax, mbufs);
    return kBurstMax;
  }
  [[gnu::noinline]] std::uint16_t tx(rte_mbuf** mbufs, std::uint16_t count) {
    benchmark::DoNotOptimize(mbufs);
    benchmark::ClobberMemory();
    return count;
  }

 private:
  rte_mbuf* mbufs_[kBurstMax];
};

void report(benchmark::State& state) {
  const auto packets = static_cast<double>(state.iterations()) * kBurstMax;
  state.counters["ns/packet"] =
      benchmark::Counter(packets * 1e-9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void forward_raw(benchmark::State& state) {
  Loop loop;
  for (auto _ : state) {
    rte_mbuf* in[kBurstMax];
    rte_mbuf* out[kBurstMax];
    std::uint16_t nb_out = 0;
    const std::uint16_t nb_rx = loop.rx(in);
    for (std::uint16_t i = 0; i < nb_rx; ++i) {
      benchmark::DoNotOptimize(in[i]->data_len);
      out[nb_out++] = in[i];
    }
    benchmark::DoNotOptimize(loop.tx(out, nb_out));
  }
  report(state);
}
BENCHMARK(forward_raw);

void forward_owned(benchmark::State& state) {
  Loop loop;
  for (auto _ : state) {
    PacketBurst in([&](rte_mbuf** mbufs) { return loop.rx(mbufs); });
    PacketBurst out;
    for (Packet& packet : in) {
      benchmark::DoNotOptimize(packet.data_length());
      out.push(std::move(packet));
    }
    (void)out.hand_over([&](rte_mbuf** mbufs, std::uint16_t count) { return loop.tx(mbufs, count); });
  }
  report(state);
}
BENCHMARK(forward_owned);

/// Every packet comes from the pool and is dropped: the cost of alloc and free is the mempool's on both
/// sides.
void drop_raw(benchmark::State& state) {
  for (auto _ : state) {
    rte_mbuf* in[kBurstMax];
    (void)pool->alloc_bulk(in, kBurstMax);
    for (rte_mbuf* mbuf : in) benchmark::DoNotOptimize(mbuf->data_len);
    rte_pktmbuf_free_bulk(in, kBurstMax);
  }
  report(state);
}
BENCHMARK(drop_raw);

void drop_owned(benchmark::State& state) {
  for (auto _ : state) {
    PacketBurst in(
        [](rte_mbuf** mbufs) { return pool->alloc_bulk(mbufs, kBurstMax) ? kBurstMax : std::uint16_t{0}; });
    for (Packet& packet : in) benchmark::DoNotOptimize(packet.data_length());
  }
  report(state);
}
BENCHMARK(drop_owned);

/// Freed one by one, as a stage does that drops a packet it has taken out of its burst.
void drop_one_by_one_raw(benchmark::State& state) {
  for (auto _ : state) {
    rte_mbuf* in[kBurstMax];
    (void)pool->alloc_bulk(in, kBurstMax);
    for (rte_mbuf* mbuf : in) rte_pktmbuf_free(mbuf);
  }
  report(state);
}
BENCHMARK(drop_one_by_one_raw);

void drop_one_by_one_owned(benchmark::State& state) {
  for (auto _ : state) {
    PacketBurst in(
        [](rte_mbuf** mbufs) { return pool->alloc_bulk(mbufs, kBurstMax) ? kBurstMax : std::uint16_t{0}; });
    for (Packet& packet : in) const Packet dropped = std::move(packet);
  }
  report(state);
}
BENCHMARK(drop_one_by_one_owned);

}  // namespace
}  // namespace pgrid::dpdk

int main(int argc, char** argv) {
  using namespace pgrid::dpdk;
  auto eal =
      Eal::init({.file_prefix = "pgrid-bench", .huge_pages = false, .memory_mib = 32, .telemetry = false});
  if (!eal) return std::fprintf(stderr, "%s\n", eal.error().sentence().c_str()), 1;
  auto made = MbufPool::create({.name = "bench", .count = kMbufs});
  if (!made) return std::fprintf(stderr, "%s\n", made.error().sentence().c_str()), 1;
  pool = &*made;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
