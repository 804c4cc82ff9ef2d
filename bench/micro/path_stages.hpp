// One turn of a poll core taken apart: the stages of dataplane/poll_core_turn.hpp in the same order, over the same objects and
// a real DPDK port (net_pcap, played over and over, as in bench/path), but each over the whole burst before the next one begins, so
// that it can be timed alone. What the worker does in between is not timed.
#pragma once

#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <vector>

#include "bench/micro/timing.hpp"
#include "dataplane/answer.hpp"
#include "dataplane/dispatch.hpp"
#include "dataplane/dpdk_io.hpp"
#include "dataplane/tx_backlog.hpp"
#include "tests/dataplane/harness.hpp"

namespace pgrid::bench {

/// In the order of a turn. A burst is 32 messages, a turn four bursts.
enum class Part { rx, parse, authorize, dispatch, publish, free, collect, settle, answer, tx, refuse };
inline constexpr std::size_t kParts = 11;
inline constexpr const char* kPartNames[kParts] = {"rx",   "parse",   "authorize", "dispatch", "publish", "free",
                                                   "collect", "settle", "answer",    "tx",       "refuse"};
inline constexpr std::uint32_t kTurn = dataplane::kBurstsPerTurn * abi::kBurst;  // messages

/// The node's defaults.
inline constexpr abi::Geometry kGeometry = dataplane::make_geometry(1, 1, 65536, 4096, 256);

/// The worker's part without any function: every request is answered with its own body.
inline std::uint32_t echo(test::FakeWorker& worker, std::vector<abi::RingRecord>* replies = nullptr) {
  std::uint32_t taken = 0;
  abi::WorkerRequest request;
  while (const abi::RingRecord record = worker.requests.front()) {
    std::memcpy(&request, record.data, sizeof request);
    const abi::WorkerReply reply = test::FakeWorker::answer_to(request);
    std::byte* place = worker.replies.reserve(record.length);
    if (place == nullptr) std::abort();
    std::memcpy(place + 4, reinterpret_cast<const std::byte*>(&reply) + 4, sizeof reply - 4);
    std::memcpy(place + sizeof reply, record.data + sizeof reply, record.length - sizeof reply);
    worker.replies.commit();
    worker.requests.pop();
    if (replies != nullptr) replies->push_back({place, record.length});
    ++taken;
  }
  if (taken == 0) return 0;
  worker.requests.release();
  worker.replies.publish();
  return taken;
}

class PathStages {
 public:
  /// `io` has one port; its frames name Harness::kRight. The worker's ends are the caller's.
  PathStages(test::Harness& node, dataplane::DpdkIo io, std::uint64_t tsc_hz)
      : node_(node),
        io_(io),
        rate_(tsc_hz),
        authorizers_(abi::kBurst, dataplane::Authorizer(node.slots, node.stats.accounts(0), 1, rate_)),
        worker(node.attach_worker()) {
    link_.follow();
  }

  /// One turn. `wait(n)` returns when the worker has answered n more; `cool` is called before each part is timed. False: a message
  /// went astray.
  template <typename Wait, typename Cool>
  [[nodiscard]] bool turn(Wait wait, Cool cool) {
    now_ = dataplane::DpdkIo::tsc();
    for (std::uint32_t burst = 0; burst < dataplane::kBurstsPerTurn; ++burst)
      if (!receive(cool)) return false;
    publish(cool);
    wait(kTurn);
    return take_back(cool);
  }

  /// One burst of requests that are beyond their right's rate: rx, parse, authorize, refuse, tx. The clock stands still, so
  /// that no token comes; the first burst takes what there is, and fails.
  template <typename Cool>
  [[nodiscard]] bool refuse_turn(Cool cool) {
    {
      cool(Part::rx);
      std::uint64_t began = ticks_now();
      dpdk::PacketBurst burst = io_.rx_burst(0);
      add(Part::rx, began, burst.size());
      if (!parse(cool, burst) || !authorize(cool, /*lets_in=*/false)) return false;
      cool(Part::refuse);
      began = ticks_now();
      for (std::uint32_t i = 0; i < abi::kBurst; ++i) {
        const dataplane::Frame& frame = arrivals_[i].frame.frame;
        const dataplane::MessageView& message = arrivals_[i].message.message;
        const dataplane::ReturnPath path = dataplane::return_path_of(frame, io_.identity(0), 0);
        dataplane::count(stats(), abi::Counter::quota_exceeded);
        dataplane::note_refused(authorized_[i].error());
        if (!write(path, {abi::Kind::non_commitment, abi::Reason::quota_exceeded, message.id, message.reply_to}, {})) return false;
      }
      add(Part::refuse, began, abi::kBurst);
      free(cool, burst);
    }
    return send(cool) == abi::kBurst;
  }

  [[nodiscard]] const Timing& timing(Part part) const { return timings_[static_cast<std::size_t>(part)]; }
  void forget() {
    for (Timing& timing : timings_) timing = {};
  }

  // For flushing.
  [[nodiscard]] const std::vector<dataplane::InFlight*>& entries() const { return entries_; }
  [[nodiscard]] const std::vector<const std::byte*>& frames() const { return frames_; }

 private:
  struct Arrival {
    dataplane::ParsedFrame frame;
    dataplane::ParsedMessage message;
  };
  using Authorized = std::expected<const dataplane::AuthorizedMessage*, dataplane::Refusal>;

  abi::PollCoreStats& stats() { return node_.stats.poll_core(0); }
  void add(Part part, std::uint64_t began, std::uint64_t times) { timings_[static_cast<std::size_t>(part)].add(began, times); }

  template <typename Cool>
  bool parse(Cool cool, dpdk::PacketBurst& burst) {
    frames_.clear();
    for (dpdk::Packet& packet : burst) frames_.push_back(packet.data());
    cool(Part::parse);
    const std::uint64_t began = ticks_now();
    constexpr std::size_t kAhead = 3;  // as PollCore::receive
    const auto packets = burst.packets();
    for (std::size_t i = 0; i < std::min(kAhead, packets.size()); ++i) io_.prefetch(packets[i]);
    for (std::size_t i = 0; i < packets.size(); ++i) {
      if (i + kAhead < packets.size()) io_.prefetch(packets[i + kAhead]);
      const dpdk::Packet& packet = packets[i];
      const auto& parsed = *::new (&arrivals_[i].frame) dataplane::ParsedFrame(
          dataplane::parse_frame({packet.data(), packet.data_length()}, io_.identity(0), io_.ip_checksum(packet),
                                 io_.l4_checksum(packet)));
      const auto& message =
          *::new (&arrivals_[i].message) dataplane::ParsedMessage(dataplane::parse_message(parsed.frame.payload));
      if (!message.ok) return false;
      authorizers_[0].prefetch(message.message.to->slot());
    }
    add(Part::parse, began, packets.size());
    return packets.size() == abi::kBurst;
  }

  /// An Authorizer holds one authorized message; here there are as many of them as messages in a burst.
  template <typename Cool>
  bool authorize(Cool cool, bool lets_in) {
    cool(Part::authorize);
    const std::uint64_t began = ticks_now();
    bool as_wanted = true;
    for (std::uint32_t i = 0; i < abi::kBurst; ++i) {
      authorized_[i] = authorizers_[i].authorize(arrivals_[i].message.message, now_, 1);
      as_wanted &= authorized_[i].has_value() == lets_in;
    }
    add(Part::authorize, began, abi::kBurst);
    return as_wanted;
  }

  template <typename Cool>
  bool receive(Cool cool) {
    cool(Part::rx);
    std::uint64_t began = ticks_now();
    dpdk::PacketBurst burst = io_.rx_burst(0);
    add(Part::rx, began, burst.size());
    if (!parse(cool, burst)) return false;
    publish(cool);  // what the burst before this one dispatched
    if (!authorize(cool, /*lets_in=*/true)) return false;
    cool(Part::dispatch);
    began = ticks_now();
    for (std::uint32_t i = 0; i < abi::kBurst; ++i) {
      const dataplane::Sender sender{.frame = &arrivals_[i].frame.frame, .port = &io_.identity(0), .port_id = 0};
      if (dataplane::dispatch(**authorized_[i], sender, link_, in_flight_, rate_, now_)) return false;
    }
    add(Part::dispatch, began, abi::kBurst);
    free(cool, burst);
    return true;
  }

  template <typename Cool>
  void publish(Cool cool) {
    cool(Part::publish);
    const bool has_records = link_.unpublished;
    const std::uint64_t began = ticks_now();
    link_.publish();
    add(Part::publish, began, has_records ? abi::kBurst : 0);
  }

  template <typename Cool>
  void free(Cool cool, dpdk::PacketBurst& burst) {
    cool(Part::free);
    const std::uint64_t began = ticks_now();
    io_.keep(burst);
    burst.clear();
    add(Part::free, began, abi::kBurst);
  }

  template <typename Cool>
  bool take_back(Cool cool) {
    cool(Part::collect);
    std::uint64_t began = ticks_now();
    for (std::uint32_t i = 0; i < kTurn; ++i) {
      dataplane::collect(link_, in_flight_, reply_, collected_[i]);
      if (collected_[i].what != dataplane::Collected::What::outcome) return false;
    }
    add(Part::collect, began, kTurn);
    entries_.clear();
    for (const dataplane::Collected& collected : collected_) entries_.push_back(collected.entry);
    cool(Part::settle);
    began = ticks_now();
    for (const dataplane::Collected& collected : collected_) settle(*collected.entry, collected.counter);
    add(Part::settle, began, kTurn);
    cool(Part::answer);
    began = ticks_now();
    for (const dataplane::Collected& collected : collected_) {
      const dataplane::InFlight& entry = *collected.entry;
      if (!write(entry.path, {collected.answer.kind, collected.answer.reason, entry.id, nullptr}, collected.answer.body))
        return false;
    }
    link_.replies.release();
    add(Part::answer, began, kTurn);
    for (const dataplane::Collected& collected : collected_) {  // of settle: last, because it is what collect finds by
      --link_.in_flight;
      in_flight_.release(*collected.entry);
    }
    return send(cool) == kTurn;
  }

  /// As PollCore::settle and account_for.
  void settle(const dataplane::InFlight& entry, abi::Counter outcome) {
    dataplane::count(stats(), outcome);
    abi::RightAccount* account = authorizers_[0].account_of(entry.right_slot, entry.right_generation);
    if (account == nullptr) return;
    account->in_flight.store(account->in_flight.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
    abi::bump(account->kept);
    abi::bump(stats().latency[abi::latency_bucket(rate_.ns_of_ticks(now_ - entry.dispatched_tsc))]);
  }

  /// As PollCore::send_fresh and send.
  bool write(const dataplane::ReturnPath& path, const dataplane::AnswerFields& fields, std::span<const std::byte> body) {
    dpdk::Packet packet = io_.alloc();
    if (!packet || backlog_.full()) return false;
    (void)packet.resize(static_cast<std::uint16_t>(dataplane::kAnswerFrameMax));
    const std::size_t length = dataplane::write_answer_frame(packet.data(), path, fields, body, io_.offloads_checksums(0));
    (void)packet.resize(static_cast<std::uint16_t>(length));
    backlog_.push(std::move(packet));
    return true;
  }

  template <typename Cool>
  std::uint32_t send(Cool cool) {
    cool(Part::tx);
    const std::uint64_t began = ticks_now();
    const std::uint32_t sent = backlog_.flush([&](std::span<dpdk::Packet> packets) { return io_.tx_burst(0, packets); });
    dataplane::count(stats(), abi::Counter::tx_packets, sent);
    add(Part::tx, began, sent);
    return sent;
  }

  test::Harness& node_;
  dataplane::DpdkIo io_;
  dataplane::TickRate rate_;
  std::vector<dataplane::Authorizer> authorizers_;
  dataplane::InFlightTable in_flight_{0, kGeometry.in_flight, 1};
  std::uint64_t now_ = 0;
  Arrival arrivals_[abi::kBurst];
  std::vector<Authorized> authorized_{abi::kBurst};
  abi::WorkerReply reply_;
  std::vector<dataplane::Collected> collected_{kTurn};
  dataplane::TxBacklog<dpdk::Packet> backlog_;
  Timing timings_[kParts];
  std::vector<dataplane::InFlight*> entries_;
  std::vector<const std::byte*> frames_;

 public:
  test::FakeWorker& worker;

 private:
  dataplane::WorkerLink link_{node_.cells.worker(0, 0), 0, abi::worker_in_flight_max(kGeometry)};
};

}  // namespace pgrid::bench
