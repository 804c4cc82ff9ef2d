// mint, derive, grant, attenuate, revoke, notify.
#include "control/capability/grants.hpp"
#include "control/capability/narrow.hpp"
#include "control/clock.hpp"
#include "control/promise/service.hpp"

namespace pgrid::control {

RightSpec PromiseService::spec_of(const PromiseRequest& request) {
  // read_request has bounded each of them.
  const auto small = [&](Field field, std::uint64_t value) -> std::optional<std::uint32_t> {
    if (!request.has(field)) return std::nullopt;
    return static_cast<std::uint32_t>(value);
  };
  RightSpec spec;
  if (request.has(Field::label)) spec.label = request.label;
  if (request.has(Field::can)) spec.permissions = static_cast<std::uint8_t>(request.can);
  spec.rate = small(Field::rate, request.rate);
  spec.burst = small(Field::burst, request.burst);
  spec.in_flight_max = small(Field::in_flight, request.in_flight);
  spec.body_max = small(Field::body_max, request.body_max);
  spec.deadline_max_us = small(Field::deadline_us, request.deadline_us);
  if (request.has(Field::expires_ms))
    spec.expires_unix_ns = static_cast<std::uint64_t>(unix_ns()) + request.expires_ms * 1'000'000;
  return spec;
}

bool PromiseService::may_have_more(const Asker& asker) {
  if (store_.state().nb_made_by(asker.who.process) < kMadeMax) return true;
  refuse(asker, abi::Reason::quota_exceeded,
         "this process has had 1,024 rights made, which is all it may: revoke some");
  return false;
}

void PromiseService::answer_made(const Asker& asker, const Result<RightRecord>& right) {
  if (!right) return refuse(asker, right.error());
  answer(asker, done_body(), {{right->slot, right->generation}});
}

void PromiseService::answer_changed(const Asker& asker, const Result<Passed>& passed) {
  if (!passed) return refuse(asker, passed.error());
  if (*passed == Passed::stuck)
    return refuse(asker, abi::Reason::busy, "it is done, but a poll core has not turned for 2 s");
  answer(asker, done_body());
}

void PromiseService::mint(const Asker& asker, const PromiseRequest& request) {
  if (!may_have_more(asker)) return;
  RightOwner owner;
  owner.maker = asker.who;
  rights_.create(spec_of(request), *process_of(asker.who), std::move(owner),
                 [this, asker](const Result<RightRecord>& right) { answer_made(asker, right); });
}

const RightRecord* PromiseService::to_derive_from(const Asker& asker, const PromiseRequest& request,
                                                  const abi::RightRef& right, std::uint8_t also) {
  const RightRecord* from = rights_.find(right);
  if (from == nullptr || is_expired(*from)) {
    refuse(asker, abi::Reason::no_such_right, "the right is dead");
    return nullptr;
  }
  const std::uint8_t needed = abi::kMayDerive | also;
  if ((from->permissions & needed) != needed) {
    refuse(asker, abi::Reason::not_permitted,
           "the right may not be " + std::string(also == 0 ? "derived from" : "given on"));
    return nullptr;
  }
  // A label tells a process its own rights apart: nobody else may choose one for it.
  if (request.has(Field::label) && from->process != asker.who.process) {
    refuse(asker, abi::Reason::not_permitted, "only the process that the right leads to chooses its label");
    return nullptr;
  }
  return may_have_more(asker) ? from : nullptr;
}

void PromiseService::derive(const Asker& asker, const PromiseRequest& request, const abi::RightRef& right) {
  if (to_derive_from(asker, request, right) == nullptr) return;
  RightOwner owner;
  owner.maker = asker.who;
  rights_.derive(right, spec_of(request), std::move(owner),
                 [this, asker](const Result<RightRecord>& made) { answer_made(asker, made); });
}

void PromiseService::grant(const Asker& asker, const PromiseRequest& request, const abi::RightRef& right) {
  if (to_derive_from(asker, request, right, abi::kMayCarry) == nullptr) return;
  const ProcessRecord* to = find_process(store_.state(), request.who);
  if (to == nullptr && knowledge_.process_of_did) to = knowledge_.process_of_did(request.who);
  if (to == nullptr)
    return refuse(asker, abi::Reason::declined, "there is no process of that name or DID here");
  RightOwner owner;
  owner.maker = asker.who;
  rights_.derive(
      right, spec_of(request), std::move(owner),
      [this, asker, index = to->index, generation = to->generation](const Result<RightRecord>& made) {
        if (!made) return refuse(asker, made.error());
        const ProcessRecord* from = process_of(asker.who);
        const ProcessRecord* now = store_.state().process(index);
        const abi::RightRef ref{made->slot, made->generation};
        bool said = from != nullptr && now != nullptr && now->generation == generation;
        if (said) {
          GuestNotice notice;
          notice.process = index;
          notice.generation = generation;
          notice.worker = now->worker;
          notice.rights = {ref};
          notice.body = right_granted_body(made->permissions, from->name);
          said = outbox_.say(std::move(notice));
          ++(said ? counts_.notices : counts_.unsaid);
        }
        if (said) return answer(asker, done_body());
        take_back({&ref, 1});
        refuse(asker, abi::Reason::busy, "the process to which it is granted cannot be told now");
      });
}

const RightRecord* PromiseService::to_change(const Asker& asker, const abi::RightRef& right) {
  const RightRecord* found = rights_.find(right);
  if (found == nullptr) {
    refuse(asker, abi::Reason::no_such_right, "the right is dead");
    return nullptr;
  }
  if (found->internal || !may_change(store_.state(), asker.who, *found)) {
    refuse(asker, abi::Reason::not_permitted,
           "only who had it made, or one that it comes from, or the process that it leads to may do that");
    return nullptr;
  }
  return found;
}

void PromiseService::attenuate(const Asker& asker, const PromiseRequest& request,
                               const abi::RightRef& right) {
  if (to_change(asker, right) == nullptr) return;
  rights_.attenuate(right, spec_of(request),
                    [this, asker](const Result<Passed>& passed) { answer_changed(asker, passed); });
}

void PromiseService::revoke(const Asker& asker, const abi::RightRef& right) {
  const RightRecord* found = to_change(asker, right);
  if (found == nullptr) return;
  rights_.revoke({*found}, [this, asker](const Result<Passed>& passed) { answer_changed(asker, passed); });
}

void PromiseService::notify(const Asker& asker, const PromiseRequest& request, const abi::RightRef& right) {
  watches_.add(asker.who, right, request.number, [this, asker](const Result<void>& added) {
    if (added) return answer(asker, done_body());
    if (added.error().code == Errc::out_of_resources)
      return refuse(asker, abi::Reason::quota_exceeded, added.error().sentence());
    refuse(asker, added.error());
  });
}

}  // namespace pgrid::control
