// The body of PollCore, second part: what workers hand back, and the one outcome of everything dispatched. See
// poll_core.hpp, which includes this.
#pragma once

#include <algorithm>
#include <optional>

#include "dataplane/poll_core.hpp"
#include "dataplane/relay.hpp"

namespace pgrid::dataplane {

template <PacketIo Io>
std::uint32_t PollCore<Io>::collect_replies(WorkerLink& link) noexcept {
  std::uint32_t nb = 0;
  if (link.requests.corrupt() && link.state() == WorkerLink::State::usable) [[unlikely]]
    lies(link, abi::Counter::worker_ring_corrupt);  // once: from now on it is busy_worker
  bool more = link.readable();
  abi::WorkerReply reply;
  Collected collected;
  for (; more && nb < kRepliesPerTurn; ++nb) {
    stages_.look();
    collect(link, in_flight_, reply, collected);
    stages_.part(abi::PollStage::take);
    switch (collected.what) {
      case Collected::What::nothing:
        more = false;
        break;
      case Collected::What::outcome:
        if (carries_rights(reply)) [[unlikely]]
          more = settle_carrying(link, reply, collected);
        else
          settle_here(*collected.entry, collected.counter, collected.answer);
        break;
      case Collected::What::late:
        count(abi::Counter::late_reply);
        break;
      case Collected::What::event:
        post_event(link, reply, collected);
        break;
      case Collected::What::send:
        more = relay(link, reply, collected.answer.body);
        break;
      case Collected::What::drop:
        if (reply.to_slot != 0) count(abi::Counter::notices_lost);
        more = take_given_back(reply, collected.answer.body, link, handles_) ||
               lies(link, abi::Counter::reply_malformed);
        break;
      case Collected::What::malformed:
        more = lies(link, abi::Counter::reply_malformed);
        break;
      case Collected::What::corrupt:
        more = lies(link, abi::Counter::worker_ring_corrupt);
        break;
    }
    if (!more) break;
  }
  if (nb != 0 && link.readable()) link.replies.release();
  if (link.state() == WorkerLink::State::closing && !more) nb += settle_closing(link);
  stages_.mark(abi::PollStage::collect, nb);
  return nb;
}

/// The worker wrote nonsense: the helper replaces it. False: nothing more is read from it.
template <PacketIo Io>
[[gnu::noinline]] bool PollCore<Io>::lies(WorkerLink& link, abi::Counter counter) noexcept {
  count(counter);
  link.mark_faulty();
  return false;
}

/// The worker is gone and what it said was read: the rest of what it had in hand is answered, some per turn.
template <PacketIo Io>
[[gnu::noinline]] std::uint32_t PollCore<Io>::settle_closing(WorkerLink& link) noexcept {
  std::uint32_t nb = 0;
  while (nb < kSettledPerTurn && (link.in_flight != 0 || link.at_control != 0)) {
    InFlight* entry = in_flight_.next_in_use(link.settle_cursor);
    if (entry == nullptr) break;
    if (is_asked_by(*entry, link)) {  // nobody waits for control any more: it may take a minute
      (void)settle_asked_control(*entry, abi::Counter::no_answer, {abi::Kind::non_commitment, abi::Reason::no_answer});
      ++nb;
      continue;
    }
    if (entry->worker != link.worker()) continue;
    settle(*entry, abi::Counter::process_failed, {abi::Kind::non_commitment, abi::Reason::process_failed});
    ++nb;
  }
  if (link.in_flight == 0 && link.at_control == 0) {
    if (index_ == 0) count(abi::Counter::worker_deaths);  // every poll core sees it; one counts it
    link.close();
  }
  return nb + 1;
}

template <PacketIo Io>
std::uint32_t PollCore<Io>::sweep(std::uint32_t budget) noexcept {
  std::uint32_t nb = 0;
  while (InFlight* entry = in_flight_.next_expired(now_tsc_, budget)) {
    settle_any(*entry, abi::Counter::no_answer, {abi::Kind::non_commitment, abi::Reason::no_answer});
    ++nb;
  }
  return nb;
}

/// The one outcome of a dispatched message: counted, answered, and its send-once right consumed. Inline where workers' answers
/// are taken.
template <PacketIo Io>
[[gnu::always_inline]] inline void PollCore<Io>::settle_here(InFlight& entry, abi::Counter outcome, const Answer& answer) noexcept {
  count(outcome);
  account_for(entry, outcome);
  if (outcome != abi::Counter::no_answer && outcome != abi::Counter::process_failed)
    abi::bump(stats_.latency[latency_bucket(now_tsc_ - entry.dispatched_tsc)]);
  stages_.part(abi::PollStage::settle);

  if (entry.sender == SenderKind::wire) [[likely]] {
    send_answer(entry.path,
                {answer.kind, answer.reason, entry.id, entry.has_reply_to ? &entry.reply_to : nullptr},
                answer.body);
  } else if (entry.sender == SenderKind::guest) {
    answer_guest(entry.guest,
                 {answer.kind, answer.reason, entry.id, left_us(entry.deadline_tsc), answer.body, answer.rights});
  } else {
    answer_control(entry, answer, rate_.ns_of_ticks(now_tsc_ - entry.dispatched_tsc));
  }
  stages_.part(abi::PollStage::answer);
  --workers_[entry.worker].in_flight;
  in_flight_.release(entry);
}

template <PacketIo Io>
[[gnu::noinline]] void PollCore<Io>::settle(InFlight& entry, abi::Counter outcome, const Answer& answer) noexcept {
  settle_here(entry, outcome, answer);
}

/// Messages of one burst have the same latency, because the clock is read once per turn: it is worked out once for them.
template <PacketIo Io>
[[gnu::always_inline]] inline std::uint32_t PollCore<Io>::latency_bucket(std::uint64_t ticks) noexcept {
  if (ticks != latency_ticks_) {
    latency_ticks_ = ticks;
    latency_bucket_ = abi::latency_bucket(rate_.ns_of_ticks(ticks));
  }
  return latency_bucket_;
}

template <PacketIo Io>
[[gnu::noinline]] void PollCore<Io>::answer_control(const InFlight& entry, const Answer& answer,
                                                    std::uint64_t elapsed_ns) noexcept {
  abi::ControlEvent event{.type = static_cast<std::uint8_t>(abi::ControlEventType::answer),
                          .kind = static_cast<std::uint8_t>(answer.kind),
                          .reason = static_cast<std::uint16_t>(answer.reason),
                          .process = entry.process,
                          .worker = entry.worker,
                          .elapsed_ns = elapsed_ns};
  std::memcpy(event.id, entry.id.data(), sizeof event.id);
  const bool same_control = entry.control_incarnation == control_.incarnation();
  const auto rights = answer.rights != nullptr ? answer.rights->rights : std::span<const abi::RightRef>{};
  if (!same_control || !control_.post(event, answer.body, rights)) count(abi::Counter::control_answer_lost);
}

/// Writes the outcome on the right's line, unless the slot has been given to another right since.
template <PacketIo Io>
[[gnu::always_inline]] inline void PollCore<Io>::account_for(const InFlight& entry, abi::Counter outcome) noexcept {
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

/// Log lines and instance events, for control. `worker` is what the poll core knows; the rest is the worker's word.
template <PacketIo Io>
[[gnu::noinline]] void PollCore<Io>::post_event(const WorkerLink& link, const abi::WorkerReply& reply,
                                                const Collected& collected) noexcept {
  const bool rebuilt = collected.event_type == abi::ControlEventType::instance_event;
  const abi::ControlEvent event{.type = static_cast<std::uint8_t>(collected.event_type),
                                .kind = static_cast<std::uint8_t>(abi::Kind::notice),
                                .reason = static_cast<std::uint16_t>(collected.answer.reason),
                                .process = reply.process,
                                .worker = link.worker(),
                                .restarts = rebuilt ? reply.to_slot : 0,
                                .backoff_ms = rebuilt ? reply.to_generation : 0,
                                .instance = rebuilt ? reply.instance : 0,
                                .process_generation = rebuilt ? reply.process_generation : 0,
                                .violation = rebuilt ? reply.violation : std::uint8_t{0}};
  if (!control_.post(event, collected.answer.body)) count(abi::Counter::control_event_lost);
}

// ---- between functions

/// A function's own request. False: its worker lied, and nothing more is read from it.
template <PacketIo Io>
[[gnu::noinline]] bool PollCore<Io>::relay(WorkerLink& link, const abi::WorkerReply& reply,
                                           std::span<const std::byte> body) noexcept {
  GuestRequest request;
  if (!read_guest_request(reply, body, link, handles_, request))
    return lies(link, abi::Counter::reply_malformed);
  count(abi::Counter::guest_requests);
  ++link.guest_waiting;
  functions_first_ = true;
  const std::optional<Refusal> refusal = admit_guest(request);
  if (!refusal) {
    count(abi::Counter::dispatched);
    if (request.carried.moved != 0) take_moved(holder_of(request.asker), request.carried, handles_);
    return true;
  }
  count(refusal->counter);
  note_refused(*refusal);
  // Asked for no deadline: what the asker asks next has none either.
  const std::uint32_t left_us = request.deadline_us != 0 ? request.deadline_us : ~0u;
  const Brought kept{.handles = kept_of(holder_of(request.asker), request.carried)};
  answer_guest(request.asker, {abi::Kind::non_commitment, refusal->reason, request.id, left_us, {}, &kept});
  return true;
}

/// `admit` for a function's request: the handle stands for the key.
template <PacketIo Io>
std::optional<Refusal> PollCore<Io>::admit_guest(const GuestRequest& request) noexcept {
  if (request.to.verdict != HeldRight::Verdict::held)
    return Refusal{abi::Counter::handle_unknown, abi::Reason::no_such_right, false};
  if (request.to_control) return ask_control(request);
  if (request.asker.hops > abi::kHopsMax)
    return Refusal{abi::Counter::hop_limit, abi::Reason::not_permitted, false};
  const MessageView message{.id = request.id,
                            .deadline_us = request.deadline_us,
                            .body = request.body};
  if (request.carried.count != 0)
    if (const auto refusal = check_carried(request.carried)) return refusal;
  const auto authorized = authorizer_.authorize_held(request.to, message, now_tsc_, now_unix_ns_);
  if (!authorized) return authorized.error();
  const Sender sender{.kind = SenderKind::guest, .guest = &request.asker};
  return request.carried.count == 0 ? let_in(**authorized, sender)
                                    : let_in_carrying(request.carried.all(), **authorized, sender);
}

/// The one answer that a function's request gets. False: who asked is gone, and nothing that came with it was given.
template <PacketIo Io>
[[gnu::noinline]] bool PollCore<Io>::answer_guest(const GuestAsker& asker, const GuestAnswer& answer) noexcept {
  WorkerLink& link = workers_[asker.worker];
  const Handed handed = hand_to_guest(link, asker, answer, now_tsc_);
  count(handed == Handed::yes ? abi::Counter::guest_answers : abi::Counter::guest_answers_lost);
  if (handed == Handed::yes) return true;
  if (answer.rights != nullptr)
    take_back(asker.process, asker.process_generation, answer.rights->rights, answer.rights->handles, handles_);
  if (handed == Handed::nonsense)
    lies(link, link.requests.corrupt() ? abi::Counter::worker_ring_corrupt : abi::Counter::reply_malformed);
  return false;
}

/// Time to a deadline; 1 when it has passed, for 0 would mean none.
template <PacketIo Io>
std::uint32_t PollCore<Io>::left_us(std::uint64_t deadline_tsc) const noexcept {
  if (static_cast<std::int64_t>(deadline_tsc - now_tsc_) <= 0) return 1;
  const std::uint64_t us = rate_.ns_of_ticks(deadline_tsc - now_tsc_) / 1000;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(us, 1, ~0u));
}

}  // namespace pgrid::dataplane
