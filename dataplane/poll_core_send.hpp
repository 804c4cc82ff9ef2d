// The body of PollCore, third part: what leaves through ports. See poll_core.hpp, which includes this.
#pragma once

#include "dataplane/answer.hpp"
#include "dataplane/local.hpp"
#include "dataplane/poll_core.hpp"

namespace pgrid::dataplane {

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
[[gnu::noinline]] void PollCore<Io>::refuse_wire(const Arrival& arrival, std::uint16_t port,
                                                 const Refusal& refusal) noexcept {
  const Frame& frame = arrival.frame.frame;
  const MessageView& message = arrival.message.message;
  const ReturnPath path = return_path_of(frame, io_.identity(port), port);
  count(refusal.counter);
  if (refusal.authorized) {
    note_refused(refusal);
    send_answer(path, {abi::Kind::non_commitment, refusal.reason, message.id, message.reply_to}, {});
    return;
  }
  const std::size_t sent = send_fresh(path, [&](std::byte* out, bool offload) {
    return write_refusal(out, frame, path, message, refusal.reason, limiter_, now_tsc_, offload);
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
  note_refused(refusal);
  abi::ControlEvent event{.type = static_cast<std::uint8_t>(abi::ControlEventType::answer),
                          .kind = static_cast<std::uint8_t>(abi::Kind::non_commitment),
                          .reason = static_cast<std::uint16_t>(refusal.reason)};
  std::memcpy(event.id, request.id, sizeof event.id);
  if (!control_.post(event, {})) count(abi::Counter::control_answer_lost);
}

// ---- tx

/// Inline, so that what `write` refers to need not be gathered in memory and read back.
template <PacketIo Io>
template <typename Write>
[[gnu::always_inline]] inline std::size_t PollCore<Io>::send_fresh(const ReturnPath& path, Write write) noexcept {
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
[[gnu::always_inline]] inline void PollCore<Io>::send_answer(const ReturnPath& path, const AnswerFields& fields,
                               std::span<const std::byte> body) noexcept {
  (void)send_fresh(path, [&](std::byte* out, bool offload) {
    return write_answer_frame(out, path, fields, body, offload);
  });
}

template <PacketIo Io>
[[gnu::always_inline]] inline void PollCore<Io>::send(Packet&& packet, std::uint16_t port) noexcept {
  if (tx_[port].full() && !make_room(port)) [[unlikely]] {
    Packet dropped = std::move(packet);
    return count(abi::Counter::tx_full);
  }
  tx_[port].push(std::move(packet));
}

/// False: the port is slower than its node, and waiting for it would stop everything else.
template <PacketIo Io>
[[gnu::noinline]] bool PollCore<Io>::make_room(std::uint16_t port) noexcept {
  TxBacklog<Packet>& backlog = tx_[port];
  const std::uint32_t sent =
      backlog.flush([&](std::span<Packet> packets) { return io_.tx_burst(port, packets); });
  count(abi::Counter::tx_packets, sent);
  return !backlog.full();
}

template <PacketIo Io>
std::uint32_t PollCore<Io>::transmit() noexcept {
  std::uint32_t sent = 0;
  for (std::uint16_t port = 0; port < io_.nb_ports(); ++port)
    sent += tx_[port].flush([&](std::span<Packet> packets) { return io_.tx_burst(port, packets); });
  if (sent != 0) count(abi::Counter::tx_packets, sent);
  stages_.mark(abi::PollStage::tx, sent);
  return sent;
}

}  // namespace pgrid::dataplane
