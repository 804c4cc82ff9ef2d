// Measures the byte stages, one message at a time over a burst of 32 different frames in cache: Ethernet to
// message, writing an answer, writing a refusal. IPv4, body of 64 bytes unless the name says otherwise,
// checksums in software.
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "dataplane/answer.hpp"
#include "dataplane/frame.hpp"
#include "dataplane/refuse.hpp"
#include "tests/packets/packet_builder.hpp"

namespace pgrid {
namespace {

using dataplane::ChecksumStatus;

constexpr std::size_t kBurst = 32;

/// 32 requests, each in a place of its own, as mbufs are.
struct Burst {
  struct alignas(64) Slot {
    std::byte bytes[2048];
    std::size_t length;
    [[nodiscard]] std::span<const std::byte> frame() const { return {bytes, length}; }
  };
  std::vector<Slot> slots{kBurst};
  explicit Burst(std::size_t body, int ip_version = 4) {
    for (std::size_t i = 0; i < kBurst; ++i) {
      const auto request = test::MessageBuilder().to({static_cast<std::uint32_t>(i), 1, {}}).body(body);
      const test::Bytes frame = test::PacketBuilder({ip_version, false}).payload(request.payload()).build();
      std::memcpy(slots[i].bytes, frame.data(), frame.size());
      slots[i].length = frame.size();
    }
  }
};

void report(benchmark::State& state) {
  state.counters["ns/message"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kBurst * 1e-9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

/// Ethernet, IP, UDP; the NIC has verified the checksums, or nobody has.
void parse_frame(benchmark::State& state, ChecksumStatus checksums) {
  const Burst burst(static_cast<std::size_t>(state.range(0)));
  const auto port = test::node_identity();
  for (auto _ : state)
    for (const auto& slot : burst.slots)
      benchmark::DoNotOptimize(dataplane::parse_frame(slot.frame(), port, checksums, checksums));
  report(state);
}
BENCHMARK_CAPTURE(parse_frame, checksums_by_nic, ChecksumStatus::good)->Arg(64);
BENCHMARK_CAPTURE(parse_frame, checksums_in_software, ChecksumStatus::unknown)->Arg(64)->Arg(1024);

/// Envelope, FlatBuffers verifier, fields.
void parse_message(benchmark::State& state) {
  const Burst burst(64);
  const auto port = test::node_identity();
  std::vector<std::span<const std::byte>> payloads;
  for (const auto& slot : burst.slots)
    payloads.push_back(
        dataplane::parse_frame(slot.frame(), port, ChecksumStatus::good, ChecksumStatus::good).frame.payload);
  for (auto _ : state)
    for (const auto& payload : payloads) benchmark::DoNotOptimize(dataplane::parse_message(payload));
  report(state);
}
BENCHMARK(parse_message);

/// Both, as a poll core does.
void parse_frame_and_message(benchmark::State& state, ChecksumStatus checksums) {
  const Burst burst(64);
  const auto port = test::node_identity();
  for (auto _ : state)
    for (const auto& slot : burst.slots) {
      const auto frame = dataplane::parse_frame(slot.frame(), port, checksums, checksums);
      benchmark::DoNotOptimize(dataplane::parse_message(frame.frame.payload));
    }
  report(state);
}
BENCHMARK_CAPTURE(parse_frame_and_message, checksums_by_nic, ChecksumStatus::good);
BENCHMARK_CAPTURE(parse_frame_and_message, checksums_in_software, ChecksumStatus::unknown);

void write_answer(benchmark::State& state, int ip_version, bool offload) {
  Burst burst(64, ip_version);
  const auto port = test::node_identity();
  const auto request =
      dataplane::parse_frame(burst.slots[0].frame(), port, ChecksumStatus::good, ChecksumStatus::good);
  const auto path = dataplane::return_path_of(request.frame, port, 0);
  const test::Bytes body(static_cast<std::size_t>(state.range(0)), std::byte{'a'});
  dataplane::AnswerFields fields;
  for (auto _ : state)
    for (auto& slot : burst.slots) {
      ++fields.id[0];
      benchmark::DoNotOptimize(dataplane::write_answer_frame(slot.bytes, path, fields, body, offload));
    }
  report(state);
}
BENCHMARK_CAPTURE(write_answer, v4_in_software, 4, false)->Arg(0)->Arg(64)->Arg(1024);
BENCHMARK_CAPTURE(write_answer, v4_offloaded, 4, true)->Arg(64);
BENCHMARK_CAPTURE(write_answer, v6_in_software, 6, false)->Arg(64);

void write_refusal(benchmark::State& state) {
  Burst burst(64);
  const auto port = test::node_identity();
  const auto request =
      dataplane::parse_frame(burst.slots[0].frame(), port, ChecksumStatus::good, ChecksumStatus::good);
  const auto path = dataplane::return_path_of(request.frame, port, 0);
  const auto message = dataplane::parse_message(request.frame.payload).message;
  dataplane::RefusalLimiter limiter(1, 1'000'000'000, 1);
  std::vector<std::byte> out(dataplane::kAnswerFrameMax);
  std::uint64_t now = 0;
  for (auto _ : state)
    for (std::size_t i = 0; i < kBurst; ++i) {
      now += 1'000'000'000;  // within the limit
      benchmark::DoNotOptimize(dataplane::write_refusal(out.data(), request.frame, path, message,
                                                        abi::Reason::no_such_right, limiter, now, false));
    }
  report(state);
}
BENCHMARK(write_refusal);

}  // namespace
}  // namespace pgrid

BENCHMARK_MAIN();
