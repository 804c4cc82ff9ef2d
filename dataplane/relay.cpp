#include "dataplane/relay.hpp"

#include <cstring>

namespace pgrid::dataplane {

bool read_guest_request(const abi::WorkerReply& reply, std::span<const std::byte> body, const WorkerLink& link,
                        const HandleTable& handles, GuestRequest& request) noexcept {
  // An honest worker adds one to the hops of what it was given, which is at most kHopsMax.
  const bool plausible = link.may_ask() && reply.kind == static_cast<std::uint8_t>(abi::Kind::request) &&
                         abi::is_grant(reply.to_slot) && reply.process < abi::kProcessesMax && reply.hops >= 1 &&
                         reply.hops <= abi::kHopsMax + 1;
  if (!plausible) return false;
  request.to = handles.find(reply.process, reply.process_generation, link.worker(), reply.to_slot);
  if (request.to.verdict == HeldRight::Verdict::foreign) return false;

  request.asker = {.worker = link.worker(),
                   .hops = reply.hops,
                   .incarnation = link.incarnation(),
                   .process = reply.process,
                   .instance = reply.instance};
  std::memcpy(request.id.data(), reply.id, sizeof reply.id);
  request.deadline_us = reply.deadline_us;
  request.nb_rights = 0;
  for (std::size_t i = 0; i < abi::kCarriedRightsMax; ++i)
    request.nb_rights += reply.rights[i] != 0 || reply.rights_mode[i] != 0;
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
  std::memset(header.rights, 0, sizeof header.rights);
  header.dispatched_tsc = now_tsc;
  if (!answer.body.empty()) std::memcpy(record + abi::kRecordHeader, answer.body.data(), answer.body.size());
  link.requests.commit();
  link.unpublished = true;
  return Handed::yes;
}

}  // namespace pgrid::dataplane
