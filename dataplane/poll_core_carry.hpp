// The body of PollCore, fourth part: rights in messages, and control as one whom functions ask. See poll_core.hpp, which
// includes this. Messages that carry nothing and go from function to function never come here.
#pragma once

#include <algorithm>
#include <optional>

#include "dataplane/dispatch.hpp"
#include "dataplane/poll_core.hpp"

namespace pgrid::dataplane {

// ---- a function's request with rights

/// Whether the sender may pass all of them on.
template <PacketIo Io>
std::optional<Refusal> PollCore<Io>::check_carried(const Carried& carried) noexcept {
  if (!carried.all_held()) return Refusal{abi::Counter::carried_unknown, abi::Reason::no_such_right, true};
  for (const abi::RightRef& right : carried.all())
    if (const std::optional<Refusal> refusal = authorizer_.check_carried(right, now_unix_ns_)) return refusal;
  return std::nullopt;
}

/// `let_in` for a message that brings its receiver rights.
template <PacketIo Io>
std::optional<Refusal> PollCore<Io>::let_in_carrying(std::span<const abi::RightRef> rights,
                                                     const AuthorizedMessage& request, const Sender& sender) noexcept {
  if (draining_) return Refusal{abi::Counter::busy_draining, abi::Reason::busy, true, &request.account()};
  const std::uint16_t worker = request.right().worker();
  if (worker >= workers_.size()) return Refusal{abi::Counter::busy_worker, abi::Reason::busy, true, &request.account()};
  const std::optional<Refusal> refusal =
      dispatch_carrying(rights, handles_, request, sender, workers_[worker], in_flight_, rate_, now_tsc_);
  if (!refusal) count(abi::Counter::rights_carried, rights.size());
  return refusal;
}

// ---- a function's answer with rights

/// What was moved is its sender's no more, whatever becomes of the answer. False: the worker lied.
template <PacketIo Io>
[[gnu::noinline]] bool PollCore<Io>::settle_carrying(WorkerLink& link, const abi::WorkerReply& reply,
                                                     const Collected& collected) noexcept {
  InFlight& entry = *collected.entry;  // of a process on this worker: `collect` has seen to that
  const Holder sender{reply.process, reply.process_generation, link.worker()};
  Carried carried;
  if (collected.answer.kind != abi::Kind::answer || sender.process >= abi::kProcessesMax ||
      !read_carried(reply, sender, handles_, carried))
    return lies(link, abi::Counter::reply_malformed);

  Answer answer = collected.answer;
  Brought brought{.rights = carried.all()};
  const GuestAsker& asker = entry.guest;
  std::optional<abi::Reason> refused;
  if (entry.sender == SenderKind::wire)
    refused = abi::Reason::not_permitted;  // a datagram cannot bring a handle
  else if (const std::optional<Refusal> refusal = check_carried(carried))
    refused = refusal->reason;
  else if (entry.sender == SenderKind::guest &&
           !give_rights(asker.process, {asker.process_generation, asker.worker}, carried.all(), handles_, brought.handles))
    refused = abi::Reason::busy;

  if (refused) {
    settle(entry, abi::Counter::answer_refused, {abi::Kind::non_commitment, *refused});
  } else {
    count(abi::Counter::rights_carried, carried.count);
    answer.rights = &brought;
    settle(entry, collected.counter, answer);
  }
  take_moved(sender, carried, handles_);
  return true;
}

// ---- control is asked

/// How long control may take when the function did not say: a log on a slow disk is done by then.
inline constexpr std::uint32_t kControlDeadlineUs = 2'000'000;
/// And at most: a timer of a minute (promise-1), and its answer.
inline constexpr std::uint32_t kControlDeadlineMaxUs = 61'000'000;

/// A function's request to handle 2. Whatever becomes of control, the function gets one answer.
template <PacketIo Io>
std::optional<Refusal> PollCore<Io>::ask_control(const GuestRequest& request) noexcept {
  const auto refuse = [](abi::Counter counter, abi::Reason reason) { return Refusal{counter, reason, true}; };
  if (draining_) return refuse(abi::Counter::busy_draining, abi::Reason::busy);
  // Held is enough: a dead right can be dropped, and one that may not be passed on can be narrowed.
  if (!request.carried.all_held()) return refuse(abi::Counter::carried_unknown, abi::Reason::no_such_right);
  InFlight* entry = in_flight_.take();
  if (entry == nullptr) return refuse(abi::Counter::busy_in_flight, abi::Reason::busy);
  const std::uint32_t deadline_us =
      request.deadline_us != 0 ? std::min(request.deadline_us, kControlDeadlineMaxUs) : kControlDeadlineUs;
  entry->sender = SenderKind::guest_asks_control;
  entry->worker = kNoWorker;
  entry->process = request.asker.process;
  entry->control_incarnation = control_.incarnation();
  entry->deadline_tsc = now_tsc_ + rate_.ticks_of_us(deadline_us);
  entry->dispatched_tsc = now_tsc_;
  entry->id = request.id;
  entry->guest = request.asker;

  abi::ControlEvent event{.type = static_cast<std::uint8_t>(abi::ControlEventType::guest_request),
                          .kind = static_cast<std::uint8_t>(abi::Kind::request),
                          .process = request.asker.process,
                          .worker = request.asker.worker,
                          .instance = request.asker.instance,
                          .process_generation = request.asker.process_generation,
                          .reply_slot = in_flight_.slot_of(*entry),
                          .reply_generation = entry->generation};
  std::memcpy(event.id, request.id.data(), sizeof event.id);
  if (!control_.post(event, request.body, request.carried.all())) {
    in_flight_.release(*entry);
    return refuse(abi::Counter::busy_control, abi::Reason::busy);
  }
  ++workers_[request.asker.worker].at_control;
  if (request.carried.count != 0) count(abi::Counter::rights_carried, request.carried.count);
  return std::nullopt;
}

/// `settle` for entries of either kind: of the sweep and of the end, not of workers.
template <PacketIo Io>
void PollCore<Io>::settle_any(InFlight& entry, abi::Counter outcome, const Answer& answer) noexcept {
  if (entry.sender == SenderKind::guest_asks_control)
    (void)settle_asked_control(entry, outcome, answer);
  else
    settle(entry, outcome, answer);
}

/// False: who asked is gone.
template <PacketIo Io>
bool PollCore<Io>::settle_asked_control(InFlight& entry, abi::Counter outcome, const Answer& answer) noexcept {
  count(outcome);
  if (WorkerLink& link = workers_[entry.guest.worker]; is_asked_by(entry, link)) --link.at_control;
  const bool handed =
      answer_guest(entry.guest, {answer.kind, answer.reason, entry.id, left_us(entry.deadline_tsc), answer.body, answer.rights});
  in_flight_.release(entry);
  return handed;
}

// ---- control speaks

/// A message that control sends as if it had come from the wire.
template <PacketIo Io>
void PollCore<Io>::take_message(const ControlLink::Request& request) noexcept {
  const abi::ControlRequest& header = request.header;
  count(abi::Counter::control_requests);
  if (header.type != static_cast<std::uint8_t>(abi::ControlRequestType::message))
    return count(abi::Counter::message_kind_unknown);
  if (header.kind != static_cast<std::uint8_t>(abi::Kind::request)) return count(abi::Counter::answer_unexpected);
  const RightOnWire to(header.slot, header.generation, std::span<const std::uint8_t, 16>(header.key));
  MessageView message{.to = &to, .deadline_us = header.deadline_us, .body = request.body};
  std::memcpy(message.id.data(), header.id, sizeof header.id);
  const Sender sender{.kind = SenderKind::control, .control_incarnation = control_.incarnation()};
  std::optional<Refusal> refusal;
  if (header.nb_rights == 0) {
    refusal = admit(message, sender);
  } else {
    const auto authorized = authorizer_.authorize(message, now_tsc_, now_unix_ns_);
    refusal = authorized ? let_in_carrying(request.carried(), **authorized, sender) : authorized.error();
  }
  if (refusal)
    refuse_control(header, *refusal);
  else
    count(abi::Counter::dispatched);
}

/// To a function that asked. Rights that it carries are the asker's from now on, or control hears that they are nobody's.
template <PacketIo Io>
void PollCore<Io>::take_answer(const ControlLink::Request& request) noexcept {
  const abi::ControlRequest& header = request.header;
  const auto [verdict, entry] = in_flight_.find(header.slot, header.generation);
  if (verdict != InFlightTable::Verdict::waiting || entry->sender != SenderKind::guest_asks_control) {
    count(abi::Counter::control_answer_late);
    return tell_undelivered(request);
  }
  const auto kind = static_cast<abi::Kind>(header.kind);
  const auto reason = static_cast<abi::Reason>(header.reason);
  const bool keeps = kind == abi::Kind::answer && header.reason == 0;
  const bool declines = kind == abi::Kind::non_commitment && header.reason != 0 && header.reason < abi::kReasonCount;
  if ((!keeps && !declines) || (declines && header.nb_rights != 0)) {
    tell_undelivered(request);
    (void)settle_asked_control(*entry, abi::Counter::declined, {abi::Kind::non_commitment, abi::Reason::declined});
    return;
  }
  Answer answer{kind, reason, request.body};
  const GuestAsker asker = entry->guest;
  Brought brought{.rights = request.carried()};
  if (header.nb_rights != 0) {
    if (!give_rights(asker.process, {asker.process_generation, asker.worker}, brought.rights, handles_, brought.handles)) {
      tell_undelivered(request);
      (void)settle_asked_control(*entry, abi::Counter::answer_refused, {abi::Kind::non_commitment, abi::Reason::busy});
      return;
    }
    answer.rights = &brought;
  }
  if (!settle_asked_control(*entry, keeps ? abi::Counter::answered : abi::Counter::declined, answer))
    tell_undelivered(request);
  else if (header.nb_rights != 0)
    count(abi::Counter::rights_carried, header.nb_rights);
}

template <PacketIo Io>
void PollCore<Io>::tell_undelivered(const ControlLink::Request& request) noexcept {
  if (request.header.nb_rights == 0) return;
  abi::ControlEvent event{.type = static_cast<std::uint8_t>(abi::ControlEventType::undelivered),
                          .kind = request.header.kind};
  std::memcpy(event.id, request.header.id, sizeof event.id);
  if (!control_.post(event, {}, request.carried())) count(abi::Counter::undelivered_lost);
}

/// Something that control tells a process. Nobody waits for it: where there is no room it is lost.
template <PacketIo Io>
void PollCore<Io>::take_notice(const ControlLink::Request& request) noexcept {
  const abi::ControlRequest& header = request.header;
  const auto lost = [&] {
    count(abi::Counter::notices_lost);
    tell_undelivered(request);
  };
  if (header.slot >= abi::kProcessesMax || header.worker >= workers_.size()) return lost();
  WorkerLink& link = workers_[header.worker];
  const HandleTable::Owner owner = handles_.owner_of(header.slot);
  if (!link.is_home() || !link.serving() || header.generation == 0 ||
      owner != HandleTable::Owner{header.generation, header.worker})
    return lost();
  const auto length = static_cast<std::uint32_t>(abi::kRecordHeader + request.body.size());
  std::byte* record = link.requests.reserve(length, link.answer_part());
  if (record == nullptr) return lost();
  GivenHandles handles{};
  if (header.nb_rights != 0 && !give_rights(header.slot, owner, request.carried(), handles_, handles)) return lost();

  abi::WorkerRequest notice{.length = length,
                            .kind = static_cast<std::uint8_t>(abi::Kind::notice),
                            .process = header.slot,
                            .reply_generation = header.instance,
                            .dispatched_tsc = now_tsc_};
  std::memcpy(notice.id, header.id, sizeof notice.id);
  std::memcpy(notice.rights, handles.data(), sizeof notice.rights);
  std::memcpy(record, &notice, sizeof notice);
  if (!request.body.empty()) std::memcpy(record + abi::kRecordHeader, request.body.data(), request.body.size());
  link.requests.commit();
  link.unpublished = true;
  count(abi::Counter::notices);
  if (header.nb_rights != 0) count(abi::Counter::rights_carried, header.nb_rights);
}

}  // namespace pgrid::dataplane
