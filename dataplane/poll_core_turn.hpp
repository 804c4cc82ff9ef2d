// The body of PollCore: see poll_core.hpp, which includes this. A header because PollCore is
// a template over its NIC.
#pragma once

#include <optional>

#include "dataplane/answer.hpp"
#include "dataplane/dispatch.hpp"
#include "dataplane/local.hpp"
#include "dataplane/poll_core.hpp"

namespace pgrid::dataplane {

// ---- the turn

template <PacketIo Io>
bool PollCore<Io>::turn() noexcept {
  start_turn();
  std::uint32_t work = 0;
  for (std::uint16_t port = 0; port < io_.nb_ports(); ++port)
    work += receive(port);                                          // rx, parse, authorize, dispatch
  work += serve_control();                                          // the same for control's requests
  for (WorkerLink& link : workers_) work += collect_replies(link);  // collect
  work += sweep(work != 0 ? kSweepPerTurn : kSweepPerIdleTurn);
  control_.publish();
  work += transmit();  // tx
  stats_.in_flight.store(in_flight_.in_use(), std::memory_order_relaxed);
  // Release: who sees this turn counted knows that no slot it read is still in use
  // (revoke, DESIGN section 4).
  stats_.turns.store(stats_.turns.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  return work != 0;
}

/// Reads the clock and what other threads have said since the last turn.
template <PacketIo Io>
void PollCore<Io>::start_turn() noexcept {
  now_tsc_ = io_.tsc();
  now_unix_ns_ = rate_.ns_of_ticks(now_tsc_) +
                 static_cast<std::uint64_t>(signals_.unix_offset_ns.load(std::memory_order_relaxed));
  draining_ = signals_.phase.load(std::memory_order_relaxed) != Phase::serving;
  for (WorkerLink& link : workers_) link.follow();
  control_.follow();
}

// ---- rx, parse, authorize, dispatch

/// One burst of a port. Two passes: while the frames are parsed, the lines of the
/// rights they name come nearer.
template <PacketIo Io>
std::uint32_t PollCore<Io>::receive(std::uint16_t port) noexcept {
  auto burst = io_.rx_burst(port);
  const std::span<Packet> packets = burst.packets();
  abi::bump(stats_.burst_sizes[packets.size()]);
  if (packets.empty()) return 0;
  count(abi::Counter::rx_packets, packets.size());

  constexpr std::size_t kAhead = 3;  // frames prefetched ahead of the one in hand
  for (std::size_t i = 0; i < std::min(kAhead, packets.size()); ++i) io_.prefetch(packets[i]);
  Arrival arrivals[abi::kBurst];
  std::size_t nb_arrivals = 0;
  for (std::size_t i = 0; i < packets.size(); ++i) {
    if (i + kAhead < packets.size()) io_.prefetch(packets[i + kAhead]);
    if (parse(packets[i], port, scratch_[i], arrivals[nb_arrivals])) ++nb_arrivals;
  }
  for (const Arrival& arrival : std::span(arrivals, nb_arrivals)) {
    const Sender sender{.path = return_path_of(arrival.frame, io_.identity(port), port)};
    const std::optional<Refusal> refusal = admit(arrival.message, sender);
    if (refusal) [[unlikely]]
      refuse_wire(arrival, sender.path, *refusal);
  }
  for (WorkerLink& link : workers_) link.publish();
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
  const ParsedFrame parsed =
      parse_frame(std::span<const std::byte>(packet.data(), packet.data_length()), io_.identity(port),
                  io_.ip_checksum(packet), io_.l4_checksum(packet));
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
  const ParsedMessage message = parse_message(payload);
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
  arrival = {parsed.frame, message.message};
  return true;
}

/// Lets a request in, or says why not. Only here is anything dispatched.
template <PacketIo Io>
std::optional<Refusal> PollCore<Io>::admit(const MessageView& message, const Sender& sender) noexcept {
  const auto authorized = authorizer_.authorize(message, now_tsc_, now_unix_ns_);
  if (!authorized) [[unlikely]]
    return authorized.error();
  const AuthorizedMessage& request = **authorized;
  if (draining_) [[unlikely]]
    return Refusal{abi::Counter::busy_draining, abi::Reason::busy, true, &request.account()};
  const std::uint16_t worker = request.right().worker();
  if (worker >= workers_.size()) [[unlikely]]
    return Refusal{abi::Counter::busy_worker, abi::Reason::busy, true, &request.account()};
  std::optional<Refusal> refusal = dispatch(request, sender, workers_[worker], in_flight_, rate_, now_tsc_);
  if (!refusal) count(abi::Counter::dispatched);
  return refusal;
}

template <PacketIo Io>
std::uint32_t PollCore<Io>::serve_control() noexcept {
  std::uint32_t nb = 0;
  ControlLink::Request request;
  for (; nb < kControlPerTurn && control_.next(request); ++nb) {
    count(abi::Counter::control_requests);
    const abi::ControlRequest& header = request.header;
    if (header.type != static_cast<std::uint8_t>(abi::ControlRequestType::message)) {
      count(abi::Counter::message_kind_unknown);
      continue;
    }
    if (header.kind != static_cast<std::uint8_t>(abi::Kind::request)) {
      count(abi::Counter::answer_unexpected);
      continue;
    }
    const RightOnWire to(header.slot, header.generation, std::span<const std::uint8_t, 16>(header.key));
    MessageView message{.to = &to, .deadline_us = header.deadline_us, .body = request.body};
    std::memcpy(message.id.data(), header.id, sizeof header.id);
    const Sender sender{.kind = SenderKind::control, .control_incarnation = control_.incarnation()};
    const std::optional<Refusal> refusal = admit(message, sender);
    if (refusal) refuse_control(header, *refusal);
  }
  if (nb == 0) return 0;
  control_.release();
  for (WorkerLink& link : workers_) link.publish();
  return nb;
}

// ---- refusals and the node's own protocols

template <PacketIo Io>
void PollCore<Io>::answer_locally(Packet& packet, const ParsedFrame& parsed, std::uint16_t port) noexcept {
  const std::span<std::byte> room(packet.data(), std::size_t{packet.data_length()} + packet.tailroom());
  const PortIdentity& identity = io_.identity(port);
  const std::size_t length = identity.kernel_answers ? 0 : answer_in_place(room, parsed, identity);
  if (length == 0 || !packet.resize(static_cast<std::uint16_t>(length)))
    return count(abi::Counter::icmp_ignored);
  packet.clear_offload_flags();
  count(parsed.kind == FrameKind::arp_request              ? abi::Counter::arp_answered
        : parsed.kind == FrameKind::neighbour_solicitation ? abi::Counter::ndp_answered
                                                           : abi::Counter::echo_answered);
  send(std::move(packet), port);
}

template <PacketIo Io>
[[gnu::noinline]] void PollCore<Io>::refuse_wire(const Arrival& arrival, const ReturnPath& path,
                                                 const Refusal& refusal) noexcept {
  count(refusal.counter);
  const MessageView& message = arrival.message;
  if (refusal.authorized) {
    if (refusal.account != nullptr) abi::bump(refusal.account->refused);
    send_answer(path, {abi::Kind::non_commitment, refusal.reason, message.id, message.reply_to}, {});
    return;
  }
  const std::size_t sent = send_fresh(path, [&](std::byte* out, bool offload) {
    return write_refusal(out, arrival.frame, path, message, refusal.reason, limiter_, now_tsc_, offload);
  });
  if (sent == 0) count(abi::Counter::refusals_suppressed);
}

template <PacketIo Io>
[[gnu::noinline]] void PollCore<Io>::refuse_protocol(const Frame& frame, std::uint16_t port) noexcept {
  const ReturnPath path = return_path_of(frame, io_.identity(port), port);
  const std::size_t sent = send_fresh(path, [&](std::byte* out, bool offload) {
    return write_unknown_protocol(out, frame, path, limiter_, now_tsc_, offload);
  });
  if (sent == 0) count(abi::Counter::refusals_suppressed);
}

template <PacketIo Io>
[[gnu::noinline]] void PollCore<Io>::refuse_control(const abi::ControlRequest& request,
                                                    const Refusal& refusal) noexcept {
  count(refusal.counter);
  if (refusal.account != nullptr) abi::bump(refusal.account->refused);
  abi::ControlEvent event{.type = static_cast<std::uint8_t>(abi::ControlEventType::answer),
                          .kind = static_cast<std::uint8_t>(abi::Kind::non_commitment),
                          .reason = static_cast<std::uint16_t>(refusal.reason)};
  std::memcpy(event.id, request.id, sizeof event.id);
  if (!control_.post(event, {})) count(abi::Counter::control_answer_lost);
}

// ---- collect

template <PacketIo Io>
std::uint32_t PollCore<Io>::collect_replies(WorkerLink& link) noexcept {
  std::uint32_t nb = 0;
  bool more = link.readable();
  for (; more && nb < kRepliesPerTurn; ++nb) {
    const Collected collected = collect(link, in_flight_);
    switch (collected.what) {
      case Collected::What::nothing:
        more = false;
        break;
      case Collected::What::outcome:
        settle(*collected.entry, collected.counter, {collected.kind, collected.reason, collected.body});
        break;
      case Collected::What::late:
        count(abi::Counter::late_reply);
        break;
      case Collected::What::event:
        post_event(link, collected);
        break;
      case Collected::What::send:
        count(abi::Counter::handle_unknown);
        break;
      case Collected::What::malformed:
        count(abi::Counter::reply_malformed);
        link.mark_faulty();
        more = false;
        break;
    }
    if (!more) break;
  }
  if (nb != 0 && link.readable()) link.replies.release();
  if (link.state() == WorkerLink::State::closing && !more) nb += settle_closing(link);
  return nb;
}

/// The worker is gone and what it said was read: the rest of what it had in hand is answered, some per turn.
template <PacketIo Io>
[[gnu::noinline]] std::uint32_t PollCore<Io>::settle_closing(WorkerLink& link) noexcept {
  std::uint32_t nb = 0;
  while (nb < kSettledPerTurn && link.in_flight != 0) {
    InFlight* entry = in_flight_.next_in_use(link.settle_cursor);
    if (entry == nullptr) break;
    if (entry->worker != link.worker()) continue;
    settle(*entry, abi::Counter::process_failed, {abi::Kind::non_commitment, abi::Reason::process_failed});
    ++nb;
  }
  if (link.in_flight == 0) {
    if (index_ == 0) count(abi::Counter::worker_deaths);  // every poll core sees it; one counts it
    link.close();
  }
  return nb + 1;
}

template <PacketIo Io>
std::uint32_t PollCore<Io>::sweep(std::uint32_t budget) noexcept {
  std::uint32_t nb = 0;
  while (InFlight* entry = in_flight_.next_expired(now_tsc_, budget)) {
    settle(*entry, abi::Counter::no_answer, {abi::Kind::non_commitment, abi::Reason::no_answer});
    ++nb;
  }
  return nb;
}

/// The one outcome of a dispatched message: counted, answered, and its send-once right consumed.
template <PacketIo Io>
void PollCore<Io>::settle(InFlight& entry, abi::Counter outcome, const Answer& answer) noexcept {
  count(outcome);
  account_for(entry, outcome);
  const std::uint64_t elapsed_ns = rate_.ns_of_ticks(now_tsc_ - entry.dispatched_tsc);
  if (outcome != abi::Counter::no_answer && outcome != abi::Counter::process_failed)
    abi::bump(stats_.latency[abi::latency_bucket(elapsed_ns)]);

  if (entry.sender == SenderKind::wire) [[likely]] {
    send_answer(entry.path,
                {answer.kind, answer.reason, entry.id, entry.has_reply_to ? &entry.reply_to : nullptr},
                answer.body);
  } else {
    abi::ControlEvent event{.type = static_cast<std::uint8_t>(abi::ControlEventType::answer),
                            .kind = static_cast<std::uint8_t>(answer.kind),
                            .reason = static_cast<std::uint16_t>(answer.reason),
                            .process = entry.process,
                            .worker = entry.worker,
                            .elapsed_ns = elapsed_ns};
    std::memcpy(event.id, entry.id.data(), sizeof event.id);
    const bool same_control = entry.control_incarnation == control_.incarnation();
    if (!same_control || !control_.post(event, answer.body)) count(abi::Counter::control_answer_lost);
  }
  --workers_[entry.worker].in_flight;
  in_flight_.release(entry);
}

/// Writes the outcome on the right's line, unless the slot has been given to another right since.
template <PacketIo Io>
void PollCore<Io>::account_for(const InFlight& entry, abi::Counter outcome) noexcept {
  abi::RightAccount* account = authorizer_.account_of(entry.right_slot, entry.right_generation);
  if (account == nullptr) return;
  account->in_flight.store(account->in_flight.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
  switch (outcome) {
    case abi::Counter::answered:
      return abi::bump(account->kept);
    case abi::Counter::declined:
      return abi::bump(account->declined);
    case abi::Counter::no_answer:
      return abi::bump(account->no_answer);
    case abi::Counter::busy_mailbox:
      return abi::bump(account->refused);
    default:
      return abi::bump(account->broken);
  }
}

/// Log lines and instance events, for control. `worker` is what the poll core knows;
/// `process` is the worker's word.
template <PacketIo Io>
void PollCore<Io>::post_event(const WorkerLink& link, const Collected& collected) noexcept {
  const abi::ControlEvent event{.type = static_cast<std::uint8_t>(collected.event_type),
                                .kind = static_cast<std::uint8_t>(abi::Kind::notice),
                                .reason = static_cast<std::uint16_t>(collected.reason),
                                .process = collected.process,
                                .worker = link.worker()};
  if (!control_.post(event, collected.body)) count(abi::Counter::control_event_lost);
}

// ---- tx

template <PacketIo Io>
template <typename Write>
std::size_t PollCore<Io>::send_fresh(const ReturnPath& path, Write write) noexcept {
  Packet packet = io_.alloc();
  if (!packet) [[unlikely]] {
    count(abi::Counter::mbuf_exhausted);
    return 1;  // lost, but not held back
  }
  const bool offload = io_.offloads_checksums(path.port_id);
  (void)packet.resize(
      static_cast<std::uint16_t>(kAnswerFrameMax));  // an mbuf's data room is larger: limits.hpp
  const std::size_t length = write(packet.data(), offload);
  if (length == 0) return 0;
  (void)packet.resize(static_cast<std::uint16_t>(length));
  if (offload) io_.ask_for_checksums(packet, path);
  send(std::move(packet), path.port_id);
  return length;
}

template <PacketIo Io>
void PollCore<Io>::send_answer(const ReturnPath& path, const AnswerFields& fields,
                               std::span<const std::byte> body) noexcept {
  (void)send_fresh(path, [&](std::byte* out, bool offload) {
    return write_answer_frame(out, path, fields, body, offload);
  });
}

template <PacketIo Io>
void PollCore<Io>::send(Packet&& packet, std::uint16_t port) noexcept {
  TxBacklog<Packet>& backlog = tx_[port];
  if (backlog.full()) [[unlikely]] {
    const std::uint32_t sent =
        backlog.flush([&](std::span<Packet> packets) { return io_.tx_burst(port, packets); });
    count(abi::Counter::tx_packets, sent);
    if (backlog.full()) {  // the port is slower than its node: waiting for it would stop everything else
      Packet dropped = std::move(packet);
      return count(abi::Counter::tx_full);
    }
  }
  backlog.push(std::move(packet));
}

template <PacketIo Io>
std::uint32_t PollCore<Io>::transmit() noexcept {
  std::uint32_t sent = 0;
  for (std::uint16_t port = 0; port < io_.nb_ports(); ++port)
    sent += tx_[port].flush([&](std::span<Packet> packets) { return io_.tx_burst(port, packets); });
  if (sent != 0) count(abi::Counter::tx_packets, sent);
  return sent;
}

// ---- beginning and end

template <PacketIo Io>
PollCore<Io>::PollCore(const PollCoreWiring& wiring, Io io)
    : index_(wiring.index),
      rate_(wiring.rate),
      stats_(wiring.stats.poll_core(wiring.index)),
      signals_(wiring.signals),
      io_(std::move(io)),
      authorizer_(wiring.rights, wiring.stats.accounts(wiring.index), wiring.geometry.poll_cores,
                  wiring.rate),
      in_flight_(wiring.index, wiring.geometry.in_flight,
                 static_cast<std::uint32_t>(wiring.random_seed >> 32)),
      control_(wiring.cells.control(wiring.index)),
      limiter_(wiring.random_seed, wiring.rate.hz(), wiring.geometry.poll_cores),
      tx_(io_.nb_ports()),
      scratch_(abi::kBurst),
      idle_(wiring.idle) {
  for (std::uint32_t worker = 0; worker < wiring.geometry.workers; ++worker)
    workers_.emplace_back(wiring.cells.worker(wiring.index, worker), static_cast<std::uint16_t>(worker),
                          abi::worker_in_flight_max(wiring.geometry));
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
    settle(*entry, abi::Counter::process_failed, {abi::Kind::non_commitment, abi::Reason::process_failed});
  control_.publish();
  constexpr std::uint32_t kLastTries =
      1000;  // a port that takes nothing in so many calls will not take it at all
  for (std::uint32_t i = 0; i < kLastTries && transmit() != 0; ++i) {
  }
  for (TxBacklog<Packet>& backlog : tx_) count(abi::Counter::tx_full, backlog.clear());
  stats_.in_flight.store(0, std::memory_order_relaxed);
}

}  // namespace pgrid::dataplane
