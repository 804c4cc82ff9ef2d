// The body of PollCore, first part: its turn and the way in. See poll_core.hpp, which includes this. A header because
// PollCore is a template over its NIC.
#pragma once

#include <optional>
#include <utility>

#include "dataplane/dispatch.hpp"
#include "dataplane/poll_core.hpp"

namespace pgrid::dataplane {

// ---- the turn

template <PacketIo Io>
bool PollCore<Io>::turn() noexcept {
  start_turn();
  // Whoever comes first finds the room that workers made meanwhile. Where functions ask too, they and the ports take turns
  // at it, so that no flood keeps the others out.
  const bool functions_first = std::exchange(functions_first_, false);
  std::uint32_t work = 0;
  if (!functions_first) [[likely]]
    work += receive_all();                                          // rx, parse, authorize, dispatch
  work += serve_control();                                          // the same for control's requests
  for (WorkerLink& link : workers_) work += collect_replies(link);  // collect; the same for functions' requests
  if (functions_first) {
    work += receive_all();
    functions_first_ = false;
  }
  work += sweep(work != 0 ? kSweepPerTurn : kSweepPerIdleTurn);
  stages_.mark(abi::PollStage::sweep);
  for (WorkerLink& link : workers_) link.publish();  // what comes of functions' requests, and those let in
  control_.publish();
  stages_.mark(abi::PollStage::publish);
  work += transmit();  // tx
  stages_.end_turn(work != 0);
  if (work == 0) io_.give_back();  // who idles holds no mbufs
  stats_.in_flight.store(in_flight_.in_use(), std::memory_order_relaxed);
  // Release: who sees this turn counted knows that no slot it read is still in use
  // (revoke, DESIGN section 4).
  stats_.turns.store(stats_.turns.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  return work != 0;
}

/// Reads the clock and what other threads have said since the last turn.
template <PacketIo Io>
void PollCore<Io>::start_turn() noexcept {
  stages_.begin_turn();
  now_tsc_ = io_.tsc();
  now_unix_ns_ = rate_.ns_of_ticks(now_tsc_) +
                 static_cast<std::uint64_t>(signals_.unix_offset_ns.load(std::memory_order_relaxed));
  draining_ = signals_.phase.load(std::memory_order_relaxed) != Phase::serving;
  for (WorkerLink& link : workers_) link.follow();
  control_.follow();
  stages_.mark(abi::PollStage::start);
}

// ---- rx, parse, authorize, dispatch

template <PacketIo Io>
std::uint32_t PollCore<Io>::receive_all() noexcept {
  std::uint32_t nb = 0;
  for (std::uint16_t port = 0; port < io_.nb_ports(); ++port) {
    std::uint32_t taken = abi::kBurst;
    for (std::uint32_t bursts = 0; taken == abi::kBurst && bursts < kBurstsPerTurn; ++bursts) {
      taken = receive(port);
      stages_.mark(abi::PollStage::free, taken);
      nb += taken;
    }
  }
  if (nb != 0)
    for (WorkerLink& link : workers_) link.publish();
  return nb;
}

/// One burst of a port. Two passes: while the frames are parsed, the lines of the
/// rights they name come nearer.
template <PacketIo Io>
std::uint32_t PollCore<Io>::receive(std::uint16_t port) noexcept {
  auto burst = io_.rx_burst(port);
  const std::span<Packet> packets = burst.packets();
  stages_.mark(abi::PollStage::rx, packets.size());
  abi::bump(stats_.burst_sizes[packets.size()]);
  if (packets.empty()) return 0;
  count(abi::Counter::rx_packets, packets.size());

  constexpr std::size_t kAhead = 3;  // frames prefetched ahead of the one in hand
  for (std::size_t i = 0; i < std::min(kAhead, packets.size()); ++i) io_.prefetch(packets[i]);
  std::size_t nb_arrivals = 0;
  for (std::size_t i = 0; i < packets.size(); ++i) {
    if (i + kAhead < packets.size()) io_.prefetch(packets[i + kAhead]);
    if (parse(packets[i], port, scratch_[i], arrivals_[nb_arrivals])) ++nb_arrivals;
  }
  stages_.mark(abi::PollStage::parse, packets.size());
  // What the burst before this one dispatched has reached memory meanwhile, so that nobody waits for it here.
  for (WorkerLink& link : workers_) link.publish();
  std::uint64_t nb_dispatched = 0;
  for (const Arrival& arrival : std::span(arrivals_, nb_arrivals)) {
    const Sender sender{.frame = &arrival.frame.frame,
                        .port = &io_.identity(port),
                        .port_id = port,
                        .alone = packets.size() < kStreamedFrom};
    const std::optional<Refusal> refusal = admit(arrival.message.message, sender);
    if (refusal) [[unlikely]] {
      refuse_wire(arrival, port, *refusal);
      stages_.part(abi::PollStage::refuse);
    } else {
      ++nb_dispatched;
      stages_.part(abi::PollStage::dispatch);
    }
  }
  count(abi::Counter::dispatched, nb_dispatched);
  stages_.mark(abi::PollStage::admit, nb_arrivals);
  io_.keep(burst);
  return static_cast<std::uint32_t>(packets.size());
}

/// True: `arrival` is a request. False: the frame has ended otherwise, and was counted.
template <PacketIo Io>
bool PollCore<Io>::parse(Packet& packet, std::uint16_t port, PayloadScratch& scratch,
                         Arrival& arrival) noexcept {
  if (!packet.is_contiguous()) [[unlikely]] {  // longer than an mbuf: no datagram of ours is
    count(abi::Counter::payload_too_long);
    return false;
  }
  const ParsedFrame& parsed = *::new (&arrival.frame) ParsedFrame(
      parse_frame(std::span<const std::byte>(packet.data(), packet.data_length()), io_.identity(port),
                  io_.ip_checksum(packet), io_.l4_checksum(packet)));
  if (parsed.kind != FrameKind::message) [[unlikely]] {
    if (parsed.kind == FrameKind::dropped)
      count(parsed.drop);
    else
      answer_locally(packet, parsed, port);
    return false;
  }
  std::span<const std::byte> payload = parsed.frame.payload;
  if (!is_aligned(payload)) [[unlikely]] {
    payload = scratch.align(payload);
    count(abi::Counter::misaligned_copied);
  }
  const ParsedMessage& message = *::new (&arrival.message) ParsedMessage(parse_message(payload));
  if (!message.ok) [[unlikely]] {
    count(message.failure);
    if (message.failure == abi::Counter::unknown_protocol) refuse_protocol(parsed.frame, port);
    return false;
  }
  if (message.message.kind != abi::Kind::request) [[unlikely]] {  // only a request is ever answered
    count(abi::Counter::answer_unexpected);
    return false;
  }
  authorizer_.prefetch(message.message.to->slot());
  return true;
}

/// Lets a request with a key in, or says why not.
template <PacketIo Io>
std::optional<Refusal> PollCore<Io>::admit(const MessageView& message, const Sender& sender) noexcept {
  stages_.look();
  const auto authorized = authorizer_.authorize(message, now_tsc_, now_unix_ns_);
  stages_.part(abi::PollStage::authorize);
  if (!authorized) [[unlikely]]
    return authorized.error();
  return let_in(**authorized, sender);
}

/// Only here is anything dispatched; the caller counts it. What `dispatch` says is returned where it was made: a copy would
/// wait for its stores.
template <PacketIo Io>
std::optional<Refusal> PollCore<Io>::let_in(const AuthorizedMessage& request, const Sender& sender) noexcept {
  if (draining_) [[unlikely]]
    return Refusal{abi::Counter::busy_draining, abi::Reason::busy, true, &request.account()};
  const std::uint16_t worker = request.right().worker();
  if (worker >= workers_.size()) [[unlikely]]
    return Refusal{abi::Counter::busy_worker, abi::Reason::busy, true, &request.account()};
  return dispatch(request, sender, workers_[worker], in_flight_, rate_, now_tsc_);
}

template <PacketIo Io>
std::uint32_t PollCore<Io>::serve_control() noexcept {
  std::uint32_t nb = 0;
  ControlLink::Request request;
  for (; nb < kControlPerTurn && control_.next(request); ++nb) {
    switch (static_cast<abi::ControlRequestType>(request.header.type)) {
      case abi::ControlRequestType::answer:
        take_answer(request);
        break;
      case abi::ControlRequestType::notice:
        take_notice(request);
        break;
      default:
        take_message(request);
        break;
    }
  }
  stages_.mark(abi::PollStage::control, nb);
  if (nb == 0) return 0;
  control_.release();
  for (WorkerLink& link : workers_) link.publish();
  return nb;
}

// ---- beginning and end

template <PacketIo Io>
PollCore<Io>::PollCore(const PollCoreWiring& wiring, Io io)
    : index_(wiring.index),
      rate_(wiring.rate),
      stats_(wiring.stats.poll_core(wiring.index)),
      signals_(wiring.signals),
      handles_(wiring.handles),
      io_(std::move(io)),
      authorizer_(wiring.rights, wiring.stats.accounts(wiring.index), wiring.geometry.poll_cores,
                  wiring.rate),
      in_flight_(wiring.index, wiring.geometry.in_flight,
                 static_cast<std::uint32_t>(wiring.random_seed >> 32)),
      control_(wiring.cells.control(wiring.index)),
      limiter_(wiring.random_seed, wiring.rate.hz(), wiring.geometry.poll_cores),
      tx_(io_.nb_ports()),
      scratch_(abi::kBurst),
      idle_(wiring.idle),
      stages_(wiring.stats.poll_stages(wiring.index)) {
  for (std::uint32_t worker = 0; worker < wiring.geometry.workers; ++worker) {
    const bool home = abi::home_core(worker, wiring.geometry) == wiring.index;
    workers_.emplace_back(wiring.cells.worker(wiring.index, worker), static_cast<std::uint16_t>(worker),
                          abi::worker_in_flight_max(wiring.geometry),
                          home ? abi::request_ring_answer_part(wiring.geometry) : 0,
                          home ? abi::guest_requests_max(wiring.geometry) : 0);
  }
}

template <PacketIo Io>
void PollCore<Io>::run() noexcept {
  while (signals_.phase.load(std::memory_order_relaxed) != Phase::stopping) idle_.after_turn(turn(), stats_);
  finish();
}

template <PacketIo Io>
void PollCore<Io>::finish() noexcept {
  start_turn();
  for (WorkerLink& link : workers_) (void)collect_replies(link);
  std::uint32_t cursor = 0;
  while (InFlight* entry = in_flight_.next_in_use(cursor))
    settle_any(*entry, abi::Counter::process_failed, {abi::Kind::non_commitment, abi::Reason::process_failed});
  for (WorkerLink& link : workers_) link.publish();
  control_.publish();
  constexpr std::uint32_t kLastTries =
      1000;  // a port that takes nothing in so many calls will not take it at all
  for (std::uint32_t i = 0; i < kLastTries && transmit() != 0; ++i) {
  }
  for (TxBacklog<Packet>& backlog : tx_) count(abi::Counter::tx_full, backlog.clear());
  io_.give_back();
  stats_.in_flight.store(0, std::memory_order_relaxed);
}

}  // namespace pgrid::dataplane
