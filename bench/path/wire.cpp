// A wire without a cable: the other end of a `null:` port, inside the data plane and on its poll core, so
// that latency can be measured where there is no third core for a sender. Preloaded into pgrid-dataplane
// (LD_PRELOAD), it stands behind rx_burst and before tx_burst: there it stamps the time stamp counter, and
// nowhere else. What it costs, as net_pcap does, is a copy of each frame into an mbuf.
//
//   PGRID_WIRE         the file of orders and report (wire_layout.hpp), made by bench/path/wire.py
//   PGRID_WIRE_FRAMES  requests to send: a capture file of kWireSlots frames, the n-th from UDP port
//   kWireFirstPort + n
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <utility>
#include <vector>

#include "bench/path/wire_layout.hpp"
#include "drivers/base/unique_fd.hpp"
#include "drivers/dpdk/burst_hooks.hpp"
#include "drivers/dpdk/tsc.hpp"

namespace pgrid::bench {
namespace {

constexpr std::size_t kDestinationPort =
    14 + 20 + 2;  // Ethernet, IPv4 without options, the UDP header's second field
constexpr std::size_t kFrameMax = 1514;
constexpr auto kRelaxed = std::memory_order_relaxed;

/// Only the poll core writes the report.
void add(Word& word, std::uint64_t n = 1) noexcept { word.store(word.load(kRelaxed) + n, kRelaxed); }

/// Frames of a capture file as bench/path/frames.py writes it; nothing when it is not one.
std::vector<std::vector<std::byte>> read_frames(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::vector<std::byte>> frames;
  file.seekg(24);  // the file's header
  std::array<std::uint32_t, 4> header{};
  while (file.read(reinterpret_cast<char*>(header.data()), sizeof header)) {
    if (header[2] < kDestinationPort + 2 || header[2] > kFrameMax) return {};
    auto& frame = frames.emplace_back(header[2]);
    if (!file.read(reinterpret_cast<char*>(frame.data()), header[2])) return {};
  }
  return frames;
}

/// Used by one lcore, after it was made.
class Wire : public dpdk::BurstHook {
 public:
  Wire(std::byte* shared, std::vector<std::vector<std::byte>> frames, rte_mempool* pool)
      : orders_(*reinterpret_cast<WireOrders*>(shared)),
        report_(*reinterpret_cast<WireReport*>(shared + sizeof(WireOrders))),
        from_rx_(reinterpret_cast<Word*>(shared + sizeof(WireOrders) + sizeof(WireReport))),
        from_due_(from_rx_ + kWireBuckets),
        frames_(std::move(frames)),
        pool_(pool) {
    report_.tsc_hz.store(dpdk::tsc_hz());
    for (std::uint32_t slot = 0; slot < kWireSlots; ++slot) free_[slot] = static_cast<std::uint16_t>(slot);
  }

  std::uint16_t received(rte_mbuf** mbufs, std::uint16_t count, std::uint16_t room) noexcept override {
    if (orders_.round.load(kRelaxed) != report_.round.load(kRelaxed)) begin();
    const std::uint32_t wanted =
        std::min<std::uint32_t>(due(), std::min<std::uint32_t>(room - count, kWireSlots - in_flight_));
    if (wanted == 0 || rte_pktmbuf_alloc_bulk(pool_, mbufs + count, wanted) != 0) return count;
    const std::uint32_t first = free_at_;
    for (std::uint32_t i = 0; i < wanted; ++i) {
      const auto& frame = frames_[free_[(first + i) % kWireSlots]];
      rte_mbuf& mbuf = *mbufs[count + i];
      mbuf.data_len = static_cast<std::uint16_t>(frame.size());
      mbuf.pkt_len = mbuf.data_len;
      std::memcpy(rte_pktmbuf_mtod(&mbuf, std::byte*), frame.data(), frame.size());
    }
    const std::uint64_t now = dpdk::tsc();
    for (std::uint32_t i = 0; i < wanted; ++i) {
      Waiting& waiting = waiting_[free_[(first + i) % kWireSlots]];
      waiting.received_tsc = now;
      waiting.due_tsc = interval_ == 0 ? now : static_cast<std::uint64_t>(next_due_);
      next_due_ += interval_;
    }
    free_at_ = (first + wanted) % kWireSlots;
    in_flight_ += wanted;
    if (report_.first_tsc.load(kRelaxed) == 0) report_.first_tsc.store(now, kRelaxed);
    add(report_.sent, wanted);
    report_.in_flight.store(in_flight_, kRelaxed);
    return static_cast<std::uint16_t>(count + wanted);
  }

  void sending(std::span<rte_mbuf* const> mbufs) noexcept override {
    const std::uint64_t now = dpdk::tsc();
    for (rte_mbuf* mbuf : mbufs) take(*mbuf, now);
    report_.last_tsc.store(now, kRelaxed);
    report_.in_flight.store(in_flight_, kRelaxed);
  }

 private:
  struct Waiting {
    std::uint64_t received_tsc = 0;  // 0: nobody waits
    std::uint64_t due_tsc = 0;
  };

  /// Orders have changed. What is in flight goes on, and is not counted when it comes back.
  void begin() noexcept {
    for (std::uint32_t i = 0; i < 2 * kWireBuckets; ++i) from_rx_[i].store(0, kRelaxed);
    for (Word* word : {&report_.first_tsc, &report_.last_tsc, &report_.sent, &report_.answered,
                       &report_.refused, &report_.unexpected, &report_.missed})
      word->store(0, kRelaxed);
    outstanding_ =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(orders_.outstanding.load(kRelaxed), kWireSlots));
    const std::uint64_t rate = orders_.rate.load(kRelaxed);
    interval_ = rate == 0 ? 0 : static_cast<double>(dpdk::tsc_hz()) / static_cast<double>(rate);
    next_due_ = static_cast<double>(dpdk::tsc());
    began_tsc_ = dpdk::tsc();
    report_.round.store(orders_.round.load(kRelaxed), std::memory_order_release);
  }

  /// Requests that should come now. Paced ones wait for room as in a NIC's queue, which holds kWireSlots;
  /// others are missed.
  std::uint32_t due() noexcept {
    if (interval_ == 0) return outstanding_ > in_flight_ ? outstanding_ - in_flight_ : 0;
    const double late = static_cast<double>(dpdk::tsc()) - next_due_;
    if (late < 0) return 0;
    double n = late / interval_ + 1;
    if (n > kWireSlots) {
      const auto too_many = static_cast<std::uint64_t>(n - kWireSlots);
      add(report_.missed, too_many);
      next_due_ += static_cast<double>(too_many) * interval_;
      n = kWireSlots;
    }
    return static_cast<std::uint32_t>(n);
  }

  void take(rte_mbuf& mbuf, std::uint64_t now) noexcept {
    const auto* const frame = rte_pktmbuf_mtod(&mbuf, const std::uint8_t*);
    const std::uint32_t slot =
        static_cast<std::uint32_t>(frame[kDestinationPort] << 8 | frame[kDestinationPort + 1]) -
        kWireFirstPort;
    if (mbuf.data_len < kDestinationPort + 2 || slot >= kWireSlots || waiting_[slot].received_tsc == 0) {
      add(report_.unexpected);
      return;
    }
    const Waiting waiting = std::exchange(waiting_[slot], {});
    free_[(free_at_ + kWireSlots - in_flight_) % kWireSlots] = static_cast<std::uint16_t>(slot);
    --in_flight_;
    if (waiting.received_tsc < began_tsc_) return;
    // An answer holds the request's body, a refusal none: half the request's length lies between them.
    const bool answered = std::size_t{mbuf.data_len} + kShorter >= frames_[slot].size();
    add(answered ? report_.answered : report_.refused);
    if (!answered) return;
    add(from_rx_[wire_bucket(ns_of(now - waiting.received_tsc))]);
    add(from_due_[wire_bucket(ns_of(now - std::min(now, waiting.due_tsc)))]);
  }
  static std::uint64_t ns_of(std::uint64_t ticks) noexcept {
    return static_cast<std::uint64_t>(static_cast<double>(ticks) * 1e9 / static_cast<double>(dpdk::tsc_hz()));
  }
  /// An answer of message-1 is at most so much shorter than its request (right and deadline are not in it), a
  /// refusal of a request with 64 bytes of body more.
  static constexpr std::size_t kShorter = 60;

  WireOrders& orders_;
  WireReport& report_;
  Word* from_rx_;
  Word* from_due_;
  std::vector<std::vector<std::byte>> frames_;
  rte_mempool* pool_;
  std::array<Waiting, kWireSlots> waiting_{};
  std::array<std::uint16_t, kWireSlots> free_{};  // a ring: from free_at_ on, kWireSlots - in_flight_ of them
  std::uint32_t free_at_ = 0;
  std::uint32_t in_flight_ = 0;
  std::uint32_t outstanding_ = 0;
  double interval_ = 0;  // ticks between two requests; 0: closed loop
  double next_due_ = 0;  // tsc
  std::uint64_t began_tsc_ = 0;
};

Result<void> stretch_wire(std::uint16_t port_id) {
  const char* const path = std::getenv("PGRID_WIRE");
  const char* const frames_path = std::getenv("PGRID_WIRE_FRAMES");
  if (path == nullptr || frames_path == nullptr)
    return fail(Errc::invalid_argument, "PGRID_WIRE, PGRID_WIRE_FRAMES", "not set");
  const UniqueFd fd(::open(path, O_RDWR | O_CLOEXEC));
  if (!fd) return fail_errno(path, errno);
  void* const shared = ::mmap(nullptr, kWireFileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (shared == MAP_FAILED) return fail_errno(path, errno);
  auto frames = read_frames(frames_path);
  if (frames.size() != kWireSlots)
    return fail(Errc::invalid_argument, frames_path,
                "not a capture file of " + std::to_string(kWireSlots) + " frames");
  const auto mac = dpdk::mac_of(port_id);
  if (!mac) return std::unexpected(mac.error());
  for (auto& frame : frames) std::memcpy(frame.data(), mac->data(), mac->size());
  const auto pool = dpdk::find_pool("pgrid-rx");
  if (!pool) return std::unexpected(pool.error());
  // For the process's life: the port polls it until the very end.
  auto* const wire = new Wire(static_cast<std::byte*>(shared), std::move(frames), *pool);
  return dpdk::hook_bursts(port_id, 0, *wire);
}

}  // namespace
}  // namespace pgrid::bench

/// DPDK's own, with the wire stretched first: every queue is set up by now, and nobody polls yet.
extern "C" __attribute__((visibility("default"))) int rte_eth_dev_start(std::uint16_t port_id) {
  if (const auto stretched = pgrid::bench::stretch_wire(port_id); !stretched) {
    std::fprintf(stderr, "wire: %s\n", stretched.error().sentence().c_str());
    return -EINVAL;
  }
  using Start = int(std::uint16_t);
  auto* const real = reinterpret_cast<Start*>(::dlsym(RTLD_NEXT, "rte_eth_dev_start"));
  return real != nullptr ? real(port_id) : -ENOSYS;
}
