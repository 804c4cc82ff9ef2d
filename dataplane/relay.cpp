#include "dataplane/relay.hpp"

#include <bit>
#include <cstring>

namespace pgrid::dataplane {
namespace {

/// Handle 2: control.
HeldRight held_by_everybody(const Holder& holder, const HandleTable& handles) noexcept {
  const HandleTable::Owner owner = handles.owner_of(holder.process);
  if (holder.generation == 0 || owner.generation != holder.generation) return {};
  return {.verdict = owner.worker == holder.worker ? HeldRight::Verdict::held : HeldRight::Verdict::foreign};
}

}  // namespace

bool read_guest_request(const abi::WorkerReply& reply, std::span<const std::byte> body, const WorkerLink& link,
                        const HandleTable& handles, GuestRequest& request) noexcept {
  // An honest worker adds one to the hops of what it was given, which is at most kHopsMax.
  // Control knows instances by their number, which is not 0.
  if (reply.to_slot == abi::kHandleControl && reply.instance == 0) return false;
  const bool plausible = link.may_ask() && reply.kind == static_cast<std::uint8_t>(abi::Kind::request) &&
                         (abi::is_held_handle(reply.to_slot) || reply.to_slot == abi::kHandleControl) &&
                         reply.process < abi::kProcessesMax && reply.hops >= 1 && reply.hops <= abi::kHopsMax + 1;
  if (!plausible) return false;
  const Holder sender{reply.process, reply.process_generation, link.worker()};
  request.to_control = reply.to_slot == abi::kHandleControl;
  request.to = request.to_control ? held_by_everybody(sender, handles)
                                  : handles.find(sender.process, sender.generation, sender.worker, reply.to_slot);
  if (request.to.verdict == HeldRight::Verdict::foreign || !read_carried(reply, sender, handles, request.carried)) return false;

  request.asker = {.worker = link.worker(),
                   .hops = reply.hops,
                   .incarnation = link.incarnation(),
                   .process = reply.process,
                   .process_generation = reply.process_generation,
                   .instance = reply.instance};
  std::memcpy(request.id.data(), reply.id, sizeof reply.id);
  request.deadline_us = reply.deadline_us;
  request.body = body;
  return true;
}

Handed hand_to_guest(WorkerLink& link, const GuestAsker& asker, const GuestAnswer& answer,
                     std::uint64_t now_tsc) noexcept {
  if (link.state() != WorkerLink::State::usable || link.incarnation() != asker.incarnation) return Handed::gone;
  --link.guest_waiting;
  const auto length = static_cast<std::uint32_t>(abi::kRecordHeader + answer.body.size());
  std::byte* record = link.requests.reserve(length);
  if (record == nullptr) return Handed::nonsense;
  auto& header = *reinterpret_cast<abi::WorkerRequest*>(record);  // `length` is the ring's: see dispatch.cpp
  header.kind = static_cast<std::uint8_t>(answer.kind);
  header.hops = static_cast<std::uint8_t>(asker.hops - 1);
  header.reason = static_cast<std::uint16_t>(answer.reason);
  header.process = asker.process;
  header.reply_slot = 0;
  header.reply_generation = asker.instance;
  header.deadline_us = answer.deadline_us;
  std::memcpy(header.id, answer.id.data(), sizeof header.id);
  header.label = 0;
  const GivenHandles handles = answer.rights != nullptr ? answer.rights->handles : GivenHandles{};
  std::memcpy(header.rights, handles.data(), sizeof header.rights);
  header.dispatched_tsc = now_tsc;
  if (!answer.body.empty()) std::memcpy(record + abi::kRecordHeader, answer.body.data(), answer.body.size());
  link.requests.commit();
  link.unpublished = true;
  return Handed::yes;
}

bool take_given_back(const abi::WorkerReply& reply, std::span<const std::byte> body, const WorkerLink& link,
                     const HandleTable& handles) noexcept {
  std::uint64_t given_back;
  if (!link.is_home() || reply.process >= abi::kProcessesMax || body.size() != sizeof given_back) return false;
  std::memcpy(&given_back, body.data(), sizeof given_back);  // read once: it lies in the worker's ring
  if ((given_back & ((std::uint64_t{1} << abi::kFirstCarried) - 1)) != 0) return false;
  const HandleTable::Owner owner = handles.owner_of(reply.process);
  if (owner.generation == 0 || !abi::is_same_generation(owner.generation, reply.process_generation)) return true;  // it is gone
  if (owner.worker != link.worker()) return false;
  for (; given_back != 0; given_back &= given_back - 1)
    handles.drop(reply.process, static_cast<std::uint32_t>(std::countr_zero(given_back)), owner.generation);
  return true;
}

}  // namespace pgrid::dataplane
