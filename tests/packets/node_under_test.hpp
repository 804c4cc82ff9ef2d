// A whole poll core over vectors of bytes: no NIC, no EAL, a clock that stands still. The harness plays the
// worker.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "abi/shared/counters.hpp"
#include "abi/shared/segment.hpp"
#include "abi/shared/stats.hpp"
#include "dataplane/poll_core.hpp"
#include "tests/packets/packet_builder.hpp"

namespace pgrid::test {

/// A frame in memory of its own, with the room behind it that an mbuf has.
class MemoryPacket {
 public:
  MemoryPacket() = default;
  explicit MemoryPacket(const Bytes& frame)
      : data_(std::make_unique<std::byte[]>(kRoom)), length_(static_cast<std::uint16_t>(frame.size())) {
    if (!frame.empty()) std::memcpy(data_.get(), frame.data(), frame.size());
  }
  explicit operator bool() const { return data_ != nullptr; }
  [[nodiscard]] std::byte* data() const { return data_.get(); }
  [[nodiscard]] std::uint16_t data_length() const { return length_; }
  [[nodiscard]] std::uint16_t tailroom() const { return static_cast<std::uint16_t>(kRoom - length_); }
  [[nodiscard]] bool is_contiguous() const { return true; }
  [[nodiscard]] bool resize(std::uint16_t length) { return length_ = length, length <= kRoom; }
  void clear_offload_flags() {}
  [[nodiscard]] Bytes bytes() const { return {data(), data() + length_}; }

 private:
  static constexpr std::size_t kRoom = 2048;
  std::unique_ptr<std::byte[]> data_;
  std::uint16_t length_ = 0;
};

/// One port. What is in `waiting` is received at the next turn; what was sent is in `sent`.
struct MemoryPort {
  dataplane::PortIdentity identity = node_identity();
  std::vector<MemoryPacket> waiting;
  std::vector<Bytes> sent;
};

class MemoryIo {
 public:
  using Packet = MemoryPacket;
  explicit MemoryIo(MemoryPort& port) : port_(&port) {}
  struct Burst {
    std::vector<MemoryPacket> held;
    std::span<MemoryPacket> packets() { return held; }
  };
  [[nodiscard]] std::uint16_t nb_ports() const { return 1; }
  [[nodiscard]] const dataplane::PortIdentity& identity(std::uint16_t) const { return port_->identity; }
  Burst rx_burst(std::uint16_t) { return {std::exchange(port_->waiting, {})}; }
  std::uint16_t tx_burst(std::uint16_t, std::span<Packet> packets) {
    for (Packet& packet : packets) port_->sent.push_back(Packet(std::move(packet)).bytes());
    return static_cast<std::uint16_t>(packets.size());
  }
  Packet alloc() { return Packet(Bytes{}); }
  [[nodiscard]] bool offloads_checksums(std::uint16_t) const { return false; }
  void ask_for_checksums(Packet&, const dataplane::ReturnPath&) {}
  void keep(auto&) {}
  void give_back() {}
  dataplane::ChecksumStatus ip_checksum(const Packet&) const { return dataplane::ChecksumStatus::unknown; }
  dataplane::ChecksumStatus l4_checksum(const Packet&) const { return dataplane::ChecksumStatus::unknown; }
  void prefetch(const Packet&) const {}
  std::uint64_t tsc() const { return 1'000'000'000; }  // one second after the clock began

 private:
  MemoryPort* port_;
};

/// 64-byte aligned zeros.
class Segment {
 public:
  explicit Segment(std::size_t size)
      : memory_(static_cast<std::byte*>(std::aligned_alloc(64, abi::round_up_64(size)))) {
    std::memset(memory_.get(), 0, abi::round_up_64(size));
  }
  [[nodiscard]] std::byte* get() const { return memory_.get(); }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::byte, Free> memory_;
};

/// Rights of the node under test, one per slot; the others were never used.
namespace rights {
inline constexpr std::array<std::uint8_t, 16> kKey{0xa0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
inline constexpr wire::RightRef good{1, 5, kKey};
inline constexpr wire::RightRef expired{2, 5, kKey};
inline constexpr wire::RightRef revoked{3, 5, kKey};
inline constexpr wire::RightRef not_sending{4, 5, kKey};
inline constexpr wire::RightRef one_per_second{5, 5, kKey};
inline constexpr wire::RightRef small_bodies{6, 5, kKey};
inline constexpr wire::RightRef being_written{7, 5, kKey};
inline constexpr wire::RightRef one_in_flight{8, 5, kKey};
inline constexpr wire::RightRef absent_worker{9, 5, kKey};
inline constexpr wire::RightRef never_used{10, 5, kKey};
inline constexpr wire::RightRef outside{16, 5, kKey};
inline constexpr wire::RightRef far_outside{0x7fff'ffff, 5, kKey};
inline constexpr wire::RightRef send_once{0x8000'0000, 5, kKey};
}  // namespace rights

class NodeUnderTest {
 public:
  NodeUnderTest();

  /// One turn of the poll core with these frames.
  void receive(const std::vector<Bytes>& frames);
  [[nodiscard]] std::uint64_t counter(abi::Counter counter) const;
  /// What the worker's request ring holds: the bodies, and a send-once right to answer the first one with.
  [[nodiscard]] std::vector<Bytes> worker_requests();
  /// Answers the last request that `worker_requests` saw, as a worker would, and turns.
  void answer(std::string_view body);
  [[nodiscard]] const std::vector<Bytes>& sent() const { return port_.sent; }
  void drain() { signals_.phase.store(dataplane::Phase::draining); }

 private:
  static constexpr abi::Geometry kGeometry{.poll_cores = 1,
                                           .workers = 2,
                                           .rights = 16,
                                           .in_flight = 16,
                                           .request_ring = 8192,
                                           .reply_ring = 65536,  // answers for 44 in flight fit
                                           .control_ring = 8192,
                                           .processes = 4};
  Segment stats_memory_{abi::stats_size(kGeometry)};
  Segment request_ring_{abi::ring_bytes(kGeometry.request_ring)};
  Segment reply_ring_{abi::ring_bytes(kGeometry.reply_ring)};
  std::vector<abi::RightSlot> rights_{kGeometry.rights};
  dataplane::StatsSegment stats_{stats_memory_.get(), kGeometry};
  dataplane::LinkCells cells_{kGeometry};
  dataplane::NodeSignals signals_;
  dataplane::HandleTable handles_ = *dataplane::HandleTable::create();
  MemoryPort port_;
  std::unique_ptr<dataplane::PollCore<MemoryIo>> core_;
  abi::RingConsumer requests_;
  abi::RingProducer replies_;
  abi::WorkerRequest last_request_{};
};

}  // namespace pgrid::test
