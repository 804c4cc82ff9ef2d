// The least that a message to another process and back can take here: two processes on two CPUs, one byte
// ring each way (abi/shared/byte_ring.hpp), a record with a 64-byte body written, read, copied into an
// answer, read. Nothing else. One message at a time; both sides spin.
//
//   ring_round_trip [SECONDS [CPU CPU]]      prints one JSON object; times in ns
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "abi/shared/byte_ring.hpp"
#include "abi/shared/records.hpp"

namespace pgrid::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kCapacity = 1u << 20;  // as of the request ring
constexpr std::size_t kBody = 64;
constexpr int kBatch = 64;  // round trips between two looks at the clock, which would cost a tenth of one

struct Shared {
  std::atomic<bool> stop{false};
  alignas(64) std::byte there[abi::ring_bytes(kCapacity)];
  alignas(64) std::byte back[abi::ring_bytes(kCapacity)];
};

bool pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return ::sched_setaffinity(0, sizeof set, &set) == 0;
}

void write(abi::RingProducer& ring, const std::byte* body) {
  std::byte* record = ring.reserve(abi::kRecordHeader + kBody);
  if (record == nullptr) std::abort();  // one message at a time
  std::memset(record + sizeof(std::uint32_t), 0, abi::kRecordHeader - sizeof(std::uint32_t));
  std::memcpy(record + abi::kRecordHeader, body, kBody);
  ring.commit();
  ring.publish();
}

/// False: stopped meanwhile.
bool read(abi::RingConsumer& ring, const std::atomic<bool>& stop, std::byte* body) {
  for (std::uint32_t looks = 0;; ++looks) {
    if (const abi::RingRecord record = ring.front()) {
      std::memcpy(body, record.data + abi::kRecordHeader, kBody);
      ring.pop();
      ring.release();
      return true;
    }
    if (looks % 4096 == 0 && stop.load(std::memory_order_relaxed)) return false;
  }
}

void answer(Shared& shared) {
  abi::RingConsumer in(shared.there, kCapacity);
  abi::RingProducer out(shared.back, kCapacity);
  std::byte body[kBody];
  while (read(in, shared.stop, body)) write(out, body);
}

/// Means of batches, in ns, sorted.
std::vector<double> ask(Shared& shared, double seconds) {
  abi::RingProducer out(shared.there, kCapacity);
  abi::RingConsumer in(shared.back, kCapacity);
  std::byte body[kBody] = {};
  std::vector<double> means;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  for (auto before = Clock::now(); before < end;) {
    for (int i = 0; i < kBatch; ++i) {
      write(out, body);
      if (!read(in, shared.stop, body)) return {};
    }
    const auto after = Clock::now();
    means.push_back(std::chrono::duration<double, std::nano>(after - before).count() / kBatch);
    before = after;
  }
  std::sort(means.begin(), means.end());
  return means;
}

int run(double seconds, int asker_cpu, int answerer_cpu) {
  void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) return std::perror("ring_round_trip: mmap"), 1;
  auto& shared = *new (memory) Shared;
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return std::perror("ring_round_trip: fork"), 1;
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent || !pin(answerer_cpu)) ::_exit(1);
    answer(shared);
    ::_exit(0);
  }
  std::vector<double> means;
  if (pin(asker_cpu)) means = ask(shared, seconds);
  shared.stop.store(true);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (means.empty() || status != 0)
    return std::fprintf(stderr, "ring_round_trip: CPUs %d and %d cannot be had\n", asker_cpu, answerer_cpu),
           1;
  const auto at = [&](double part) {
    return means[static_cast<std::size_t>(part * static_cast<double>(means.size() - 1))];
  };
  std::printf(
      "{\"p50_ns\": %.1f, \"p10_ns\": %.1f, \"p90_ns\": %.1f, \"p99_ns\": %.1f, \"round_trips\": %zu}\n",
      at(0.5), at(0.1), at(0.9), at(0.99), means.size() * kBatch);
  return 0;
}

}  // namespace
}  // namespace pgrid::bench

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 1;
  if (seconds <= 0 || (argc != 1 && argc != 2 && argc != 4)) {
    std::fprintf(stderr, "usage: ring_round_trip [SECONDS [CPU CPU]]\n");
    return 2;
  }
  return pgrid::bench::run(seconds, argc > 3 ? std::atoi(argv[2]) : 0, argc > 3 ? std::atoi(argv[3]) : 1);
}
