// A poll core over memory: a NIC of vectors whose clock the test owns, workers and
// control played by the test.
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "abi/shared/records.hpp"
#include "abi/shared/segment.hpp"
#include "abi/shared/stats.hpp"
#include "dataplane/link_cells.hpp"
#include "dataplane/poll_core.hpp"
#include "dataplane/segments.hpp"
#include "tests/packets/packet_builder.hpp"

namespace pgrid::test {

inline constexpr std::uint64_t kHz = 1'000'000'000;  // a tick is a nanosecond

/// Zeroed, 64-byte aligned memory that AddressSanitizer watches.
class AlignedMemory {
 public:
  explicit AlignedMemory(std::size_t size)
      : data_(static_cast<std::byte*>(std::aligned_alloc(64, abi::round_up_64(size)))) {
    std::memset(data_.get(), 0, abi::round_up_64(size));
  }
  [[nodiscard]] std::byte* get() const { return data_.get(); }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::byte, Free> data_;
};

/// What the test and its NIC share.
struct TestNic {
  dataplane::PortIdentity identity = node_identity();
  std::vector<Bytes> waiting;  // received at the next turn, 32 at a time
  std::vector<Bytes> sent;
  std::uint64_t now = kHz;         // the clock
  std::uint32_t tx_room = ~0u;     // frames that the port still takes
  std::uint32_t fresh_left = ~0u;  // packets that the reserve still has
  std::int64_t packets_alive = 0;  // owned by anybody
};

/// A frame with an mbuf's room behind it, counted while it lives.
class TestPacket {
 public:
  TestPacket() = default;
  TestPacket(TestNic& nic, const Bytes& frame)
      : nic_(&nic),
        data_(std::make_unique<std::byte[]>(kRoom)),
        length_(static_cast<std::uint16_t>(frame.size())) {
    if (!frame.empty()) std::memcpy(data_.get(), frame.data(), frame.size());
    ++nic.packets_alive;
  }
  TestPacket(TestPacket&& other) noexcept { swap(other); }
  TestPacket& operator=(TestPacket&& other) noexcept {
    TestPacket taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~TestPacket() {
    if (data_) --nic_->packets_alive;
  }
  explicit operator bool() const { return data_ != nullptr; }
  [[nodiscard]] std::byte* data() const { return data_.get(); }
  [[nodiscard]] std::uint16_t data_length() const { return length_; }
  [[nodiscard]] std::uint16_t tailroom() const { return static_cast<std::uint16_t>(kRoom - length_); }
  [[nodiscard]] bool is_contiguous() const { return true; }
  [[nodiscard]] bool resize(std::uint16_t length) {
    if (length > kRoom) return false;
    length_ = length;
    return true;
  }
  void clear_offload_flags() {}

 private:
  static constexpr std::size_t kRoom = 2048;
  void swap(TestPacket& other) noexcept {
    std::swap(nic_, other.nic_);
    std::swap(data_, other.data_);
    std::swap(length_, other.length_);
  }
  TestNic* nic_ = nullptr;
  std::unique_ptr<std::byte[]> data_;
  std::uint16_t length_ = 0;
};

class TestIo {
 public:
  using Packet = TestPacket;
  explicit TestIo(TestNic& nic) : nic_(&nic) {}
  struct Burst {
    std::vector<TestPacket> held;
    std::span<TestPacket> packets() { return held; }
  };
  [[nodiscard]] std::uint16_t nb_ports() const { return 1; }
  [[nodiscard]] const dataplane::PortIdentity& identity(std::uint16_t) const { return nic_->identity; }
  Burst rx_burst(std::uint16_t) {
    Burst burst;
    const std::size_t n = std::min<std::size_t>(nic_->waiting.size(), abi::kBurst);
    for (std::size_t i = 0; i < n; ++i) burst.held.emplace_back(*nic_, nic_->waiting[i]);
    nic_->waiting.erase(nic_->waiting.begin(), nic_->waiting.begin() + static_cast<std::ptrdiff_t>(n));
    return burst;
  }
  std::uint16_t tx_burst(std::uint16_t, std::span<Packet> packets) {
    std::uint16_t sent = 0;
    for (Packet& packet : packets) {
      if (nic_->tx_room == 0) break;
      --nic_->tx_room;
      const Packet taken = std::move(packet);
      nic_->sent.emplace_back(taken.data(), taken.data() + taken.data_length());
      ++sent;
    }
    return sent;
  }
  Packet alloc() {
    if (nic_->fresh_left == 0) return {};
    --nic_->fresh_left;
    return Packet(*nic_, {});
  }
  void keep(Burst&) {}
  void give_back() {}
  [[nodiscard]] bool offloads_checksums(std::uint16_t) const { return false; }
  void ask_for_checksums(Packet&, const dataplane::ReturnPath&) {}
  [[nodiscard]] dataplane::ChecksumStatus ip_checksum(const Packet&) const {
    return dataplane::ChecksumStatus::unknown;
  }
  [[nodiscard]] dataplane::ChecksumStatus l4_checksum(const Packet&) const {
    return dataplane::ChecksumStatus::unknown;
  }
  void prefetch(const Packet&) const {}
  [[nodiscard]] std::uint64_t tsc() const { return nic_->now; }

 private:
  TestNic* nic_;
};

/// The worker's end of one ring pair, in memory of its own.
class FakeWorker {
 public:
  FakeWorker(const abi::Geometry& geometry, std::uint32_t incarnation)
      : requests_memory_(abi::ring_bytes(geometry.request_ring)),
        replies_memory_(abi::ring_bytes(geometry.reply_ring)),
        rings_{requests_memory_.get(), replies_memory_.get(), geometry.request_ring, geometry.reply_ring,
               incarnation},
        requests(requests_memory_.get(), geometry.request_ring),
        replies(replies_memory_.get(), geometry.reply_ring) {}

  struct Request {
    abi::WorkerRequest header;
    std::string body;
  };
  [[nodiscard]] std::optional<Request> next() {
    const abi::RingRecord record = requests.front();
    if (!record) return std::nullopt;
    Request request;
    std::memcpy(&request.header, record.data, sizeof request.header);
    request.body.assign(reinterpret_cast<const char*>(record.data) + abi::kRecordHeader,
                        record.length - abi::kRecordHeader);
    requests.pop();
    requests.release();
    return request;
  }
  [[nodiscard]] static abi::WorkerReply answer_to(const abi::WorkerRequest& request) {
    abi::WorkerReply reply{};
    reply.type = static_cast<std::uint8_t>(abi::ReplyType::answer);
    reply.kind = static_cast<std::uint8_t>(abi::Kind::answer);
    reply.process = request.process;
    reply.to_slot = request.reply_slot;
    reply.to_generation = request.reply_generation;
    return reply;
  }
  /// False: the ring is full.
  bool say(abi::WorkerReply reply, std::string_view body = {}) {
    reply.length = static_cast<std::uint32_t>(abi::kRecordHeader + body.size());
    std::byte* record = replies.reserve(reply.length);
    if (record == nullptr) return false;
    std::memcpy(record, &reply, sizeof reply);
    if (!body.empty()) std::memcpy(record + abi::kRecordHeader, body.data(), body.size());
    replies.commit();
    replies.publish();
    return true;
  }
  bool answer(const Request& request, std::string_view body) { return say(answer_to(request.header), body); }
  bool refuse(const Request& request, abi::Reason reason) {
    abi::WorkerReply reply = answer_to(request.header);
    reply.kind = static_cast<std::uint8_t>(abi::Kind::non_commitment);
    reply.reason = static_cast<std::uint16_t>(reason);
    return say(reply);
  }
  [[nodiscard]] const dataplane::LinkRings& rings() const { return rings_; }
  /// The header of the reply ring, to write nonsense into.
  [[nodiscard]] abi::RingHeader& reply_header() const {
    return *reinterpret_cast<abi::RingHeader*>(replies_memory_.get());
  }
  [[nodiscard]] abi::RingHeader& request_header() const {
    return *reinterpret_cast<abi::RingHeader*>(requests_memory_.get());
  }

 private:
  AlignedMemory requests_memory_;
  AlignedMemory replies_memory_;
  dataplane::LinkRings rings_;

 public:
  abi::RingConsumer requests;
  abi::RingProducer replies;
};

/// Control's end of one ring pair.
class FakeControl {
 public:
  FakeControl(const abi::Geometry& geometry, std::uint32_t incarnation)
      : events_memory_(abi::ring_bytes(geometry.control_ring)),
        requests_memory_(abi::ring_bytes(geometry.control_ring)),
        rings_{events_memory_.get(), requests_memory_.get(), geometry.control_ring, geometry.control_ring,
               incarnation},
        events(events_memory_.get(), geometry.control_ring),
        requests(requests_memory_.get(), geometry.control_ring) {}

  struct Event {
    abi::ControlEvent header;
    std::vector<abi::RightRef> rights;
    std::string body;
  };
  [[nodiscard]] std::optional<Event> next() {
    const abi::RingRecord record = events.front();
    if (!record) return std::nullopt;
    Event event;
    std::memcpy(&event.header, record.data, sizeof event.header);
    event.rights.resize(event.header.nb_rights);
    const std::size_t rights = event.rights.size() * sizeof(abi::RightRef);
    if (rights != 0) std::memcpy(event.rights.data(), record.data + abi::kRecordHeader, rights);
    event.body.assign(reinterpret_cast<const char*>(record.data) + abi::kRecordHeader + rights,
                      record.length - abi::kRecordHeader - rights);
    events.pop();
    events.release();
    return event;
  }
  bool ask(abi::ControlRequest request, std::string_view body, const std::vector<abi::RightRef>& rights = {}) {
    const std::size_t before = rights.size() * sizeof(abi::RightRef);
    request.nb_rights = static_cast<std::uint8_t>(rights.size());
    request.length = static_cast<std::uint32_t>(abi::kRecordHeader + before + body.size());
    std::byte* record = requests.reserve(request.length);
    if (record == nullptr) return false;
    std::memcpy(record, &request, sizeof request);
    if (before != 0) std::memcpy(record + abi::kRecordHeader, rights.data(), before);
    if (!body.empty()) std::memcpy(record + abi::kRecordHeader + before, body.data(), body.size());
    requests.commit();
    requests.publish();
    return true;
  }
  [[nodiscard]] const dataplane::LinkRings& rings() const { return rings_; }
  [[nodiscard]] abi::RingHeader& request_header() const {
    return *reinterpret_cast<abi::RingHeader*>(requests_memory_.get());
  }

 private:
  AlignedMemory events_memory_;
  AlignedMemory requests_memory_;
  dataplane::LinkRings rings_;

 public:
  abi::ControlRingConsumer events;
  abi::RingProducer requests;
};

/// What a client sees in a frame that the node sent.
struct SentMessage {
  abi::Kind kind;
  abi::Reason reason;
  std::array<std::uint8_t, 8> id;
  std::string body;
};

/// One or more poll cores, each with its own NIC, over one right table, one stats segment,
/// and workers of the test.
class Harness {
 public:
  static constexpr std::array<std::uint8_t, 16> kKey{9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6};
  static constexpr wire::RightRef kRight{3, 7, kKey};

  static constexpr abi::Geometry small_geometry(std::uint32_t poll_cores = 1) {
    return {.poll_cores = poll_cores,
            .workers = 2,
            .rights = 16,
            .in_flight = 64,
            .request_ring = 16384,
            .reply_ring = 131072,  // answers of 89 requests fit
            .control_ring = 8192,
            .processes = 4};
  }

  explicit Harness(const abi::Geometry& shape = small_geometry())
      : geometry(shape),
        stats_memory_(abi::stats_size(shape)),
        slots(shape.rights),
        stats(stats_memory_.get(), shape),
        cells(shape),
        nics(shape.poll_cores) {
    write_right(kRight, [](auto&) {});
    for (std::uint32_t i = 0; i < geometry.poll_cores; ++i)
      cores.push_back(std::make_unique<dataplane::PollCore<TestIo>>(
          dataplane::PollCoreWiring{i, geometry, dataplane::TickRate(kHz), slots, stats, cells, signals, handles,
                                    dataplane::IdlePolicy::yield, 0x1234'5678'0000'0001u},
          TestIo(nics[i])));
  }

  /// Publishes a right as control would; `change` has the last word.
  template <typename Change>
  void write_right(const wire::RightRef& right, Change change) {
    abi::RightFields fields{};
    fields.generation = right.generation;
    std::memcpy(fields.key, right.key.data(), sizeof fields.key);
    fields.label = 0xfeed;
    fields.target = 41;
    fields.target_kind = abi::Target::process;
    fields.permissions = abi::kMaySend;
    fields.deadline_max_us = 1000;
    fields.in_flight_max = 1000;
    fields.body_max = abi::kBodyMax;
    change(fields);
    abi::write_right(slots[right.slot], fields);
  }

  /// A new worker process, seated at every poll core; `worker` of poll core 0 unless said otherwise.
  FakeWorker& attach_worker(std::uint32_t worker = 0, std::uint32_t core = 0) {
    workers_.push_back(std::make_unique<FakeWorker>(geometry, ++incarnation_));
    cells.worker(core, worker).offer(workers_.back()->rings());
    cells.worker(core, worker).serving = true;
    return *workers_.back();
  }
  FakeControl& attach_control(std::uint32_t core = 0) {
    controls_.push_back(std::make_unique<FakeControl>(geometry, ++incarnation_));
    cells.control(core).offer(controls_.back()->rings());
    return *controls_.back();
  }

  static Bytes frame(const MessageBuilder& message, Variant variant = {}) {
    return PacketBuilder(variant).payload(message.payload()).build();
  }
  static Bytes request(std::string_view body = "hello") {
    return frame(MessageBuilder().to(kRight).body(body));
  }
  void receive(const Bytes& bytes, std::uint32_t core = 0) { nics[core].waiting.push_back(bytes); }
  void turn(std::uint32_t turns = 1, std::uint32_t core = 0) {
    for (std::uint32_t i = 0; i < turns; ++i) cores[core]->turn();
  }
  void pass_us(std::uint64_t us) {
    for (TestNic& nic : nics) nic.now += us * 1000;
  }

  [[nodiscard]] std::uint64_t counter(abi::Counter counter, std::uint32_t core = 0) const {
    return stats.poll_core(core).counters[static_cast<std::size_t>(counter)].load();
  }
  [[nodiscard]] std::uint64_t sum(abi::CounterClass class_, std::uint32_t core = 0) const {
    std::uint64_t n = 0;
    for (std::size_t i = 0; i < abi::kCounterCount; ++i)
      if (abi::kCounterInfo[i].class_ == class_) n += stats.poll_core(core).counters[i].load();
    return n;
  }
  /// Empty when both equations of abi/shared/counters.hpp hold; otherwise what does not add up.
  [[nodiscard]] std::string books(std::uint32_t core = 0) const {
    using enum abi::CounterClass;
    const std::uint64_t received = sum(source, core);
    const std::uint64_t ended = sum(drop, core) + sum(local, core) + sum(punt, core) + sum(refusal, core) +
                                counter(abi::Counter::dispatched, core);
    const std::uint64_t settled = sum(outcome, core) + cores[core]->in_flight().in_use();
    std::string text;
    if (received != ended)
      text += "received " + std::to_string(received) + ", ended " + std::to_string(ended) + ". ";
    if (counter(abi::Counter::dispatched, core) != settled)
      text += "dispatched " + std::to_string(counter(abi::Counter::dispatched, core)) + ", settled " +
              std::to_string(settled) + ". ";
    return text;
  }
  /// The messages sent so far, taken out of their frames as a client would; forgets them.
  std::vector<SentMessage> take_sent(std::uint32_t core = 0) {
    std::vector<SentMessage> messages;
    for (const Bytes& bytes : std::exchange(nics[core].sent, {})) {
      const auto parsed = dataplane::parse_frame(bytes, client_identity(), dataplane::ChecksumStatus::unknown,
                                                 dataplane::ChecksumStatus::unknown);
      if (parsed.kind != dataplane::FrameKind::message) continue;
      dataplane::PayloadScratch scratch;
      const auto message = dataplane::parse_message(scratch.align(parsed.frame.payload));
      if (!message.ok) continue;
      const auto& view = message.message;
      messages.push_back({view.kind, view.reason, view.id,
                          std::string(reinterpret_cast<const char*>(view.body.data()), view.body.size())});
    }
    return messages;
  }

  abi::Geometry geometry;

 private:
  AlignedMemory stats_memory_;
  std::uint32_t incarnation_ = 0;
  std::vector<std::unique_ptr<FakeWorker>> workers_;
  std::vector<std::unique_ptr<FakeControl>> controls_;

 public:
  std::vector<abi::RightSlot> slots;
  dataplane::StatsSegment stats;
  dataplane::LinkCells cells;
  dataplane::NodeSignals signals;
  dataplane::HandleTable handles = *dataplane::HandleTable::create();
  std::vector<TestNic> nics;
  std::vector<std::unique_ptr<dataplane::PollCore<TestIo>>> cores;
};

}  // namespace pgrid::test
