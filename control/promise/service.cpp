// Who asks, what becomes of it, and how it is said. What each operation does: *_requests.cpp.
#include "control/promise/service.hpp"

#include <cstring>

#include "control/clock.hpp"
#include "control/log/log.hpp"

namespace pgrid::control {
namespace {

abi::Reason reason_of(Errc code) {
  switch (code) {
    case Errc::not_permitted:
      return abi::Reason::not_permitted;
    case Errc::not_found:
      return abi::Reason::no_such_right;
    case Errc::busy:
    case Errc::unavailable:
    case Errc::out_of_resources:
    case Errc::timed_out:
    case Errc::io:
    case Errc::corrupt:
      return abi::Reason::busy;
    default:
      return abi::Reason::declined;
  }
}

}  // namespace

PromiseService::PromiseService(EventLoop& loop, Store& store, Rights& rights, ControlRings& rings,
                               Instances& instances)
    : loop_(loop),
      store_(store),
      rights_(rights),
      instances_(instances),
      outbox_(loop, rings),
      watches_(store, rights, [this](const WatchRecord& watch, Why why) { return tell(watch, why); }) {}

void PromiseService::on_request(const RingEvent& event) {
  const abi::ControlEvent& header = event.header;
  ++counts_.requests;
  const ProcessRecord* process = store_.state().process(header.process);
  // A worker speaks for its own processes only; one that is being removed has nothing to ask. The data plane
  // answers what is not answered here, at the deadline.
  const bool is_ours = process != nullptr && process->generation == header.process_generation &&
                       process->worker == header.worker && header.instance != 0 &&
                       store_.state().internal_right_of(process->index) != nullptr;
  if (!is_ours) {
    ++counts_.strangers;
    return;
  }
  Asker asker;
  asker.who = instances_.seen(*process, header.instance);
  asker.reply_slot = header.reply_slot;
  asker.reply_generation = header.reply_generation;
  std::memcpy(asker.id.data(), header.id, sizeof header.id);
  std::uint32_t& waiting = asked_[header.process];
  ++waiting;
  if (waiting > kAskedMax)
    return refuse(asker, abi::Reason::quota_exceeded, "256 requests of this process wait already");
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(event.body.data());
  const auto request = read_request({bytes, event.body.size()}, event.rights.size());
  if (!request) {
    on_malformed(asker, request.error().text);
    return refuse(asker, request.error().reason, request.error().text);
  }
  serve(asker, *request, event.rights);
}

void PromiseService::serve(const Asker& asker, const PromiseRequest& request, Carried carried) {
  switch (request.op) {
    case Op::mint:
      return mint(asker, request);
    case Op::derive:
      return derive(asker, request, carried[0]);
    case Op::grant:
      return grant(asker, request, carried[0]);
    case Op::attenuate:
      return attenuate(asker, request, carried[0]);
    case Op::revoke:
      return revoke(asker, carried[0]);
    case Op::drop:
      return answer(asker, done_body());  // the poll core took the handles out of the table
    case Op::notify:
      return notify(asker, request, carried[0]);
    case Op::timer:
      return timer(asker, request);
    case Op::random:
      return random(asker, request);
    case Op::advertise:
      return advertise(asker, request);
    case Op::discover:
      return discover(asker, request);
    case Op::issue_token:
      return issue_token(asker, request, carried[0]);
    case Op::redeem_token:
      return redeem_token(asker, request);
    case Op::revoke_token:
      return revoke_token(asker, request);
    case Op::history:
      return history(asker, request);
  }
}

const ProcessRecord* PromiseService::process_of(const Maker& who) const {
  const ProcessRecord* process = store_.state().process(who.process);
  return process != nullptr && process->generation == who.generation ? process : nullptr;
}

void PromiseService::answer(const Asker& asker, Body body, std::vector<abi::RightRef> rights) {
  ++counts_.done;
  GuestAnswer answer;
  answer.kind = abi::Kind::answer;
  answer.rights = std::move(rights);
  answer.body = std::move(body);
  say(asker, std::move(answer));
}

void PromiseService::refuse(const Asker& asker, abi::Reason reason, std::string_view text) {
  ++counts_.refused;
  GuestAnswer answer;
  answer.kind = abi::Kind::non_commitment;
  answer.reason = reason;
  answer.body = refusal_body(text);
  say(asker, std::move(answer));
}

void PromiseService::refuse(const Asker& asker, const Error& error) {
  refuse(asker, reason_of(error.code), error.sentence());
}

void PromiseService::say(const Asker& asker, GuestAnswer answer) {
  if (const auto waiting = asked_.find(asker.who.process); waiting != asked_.end() && --waiting->second == 0)
    asked_.erase(waiting);
  answer.reply_slot = asker.reply_slot;
  answer.reply_generation = asker.reply_generation;
  answer.id = asker.id;
  const std::vector<abi::RightRef> rights = answer.rights;
  if (outbox_.say(std::move(answer))) return;
  ++counts_.unsaid;
  take_back(rights);
}

void PromiseService::on_undelivered(const RingEvent& event) {
  ++counts_.undelivered;
  take_back(event.rights);
}

void PromiseService::take_back(std::span<const abi::RightRef> rights) {
  std::vector<RightRecord> made;
  for (const abi::RightRef& right : rights)
    if (const RightRecord* found = rights_.find(right); found != nullptr && found->maker)
      made.push_back(*found);
  if (made.empty()) return;
  rights_.revoke(
      made,
      [](const Result<Passed>& passed) {
        if (!passed) log_error("a right that nobody got stays: " + passed.error().sentence());
      },
      Why::ended);
}

void PromiseService::on_malformed(const Asker& asker, const std::string& text) {
  ++counts_.malformed;
  if (const std::int64_t second = unix_s(); second != logged_second_) {
    logged_second_ = second;
    logged_ = 0;
  }
  if (++logged_ > kMalformedLogged) return;
  store_.commit(Happened{.what = "malformed_request",
                         .process = asker.who.process,
                         .generation = asker.who.generation,
                         .text = text},
                [](const Result<void>&) {});
}

bool PromiseService::tell(const WatchRecord& watch, Why why) {
  const ProcessRecord* process = process_of(watch.who);
  if (process == nullptr) return true;  // nobody is there to be told
  GuestNotice notice;
  notice.process = process->index;
  notice.generation = process->generation;
  notice.worker = process->worker;
  notice.instance = watch.who.instance;
  notice.body = right_died_body(watch.number, why);
  const bool said = outbox_.say(std::move(notice));
  ++(said ? counts_.notices : counts_.unsaid);
  return said;
}

void PromiseService::on_dead(const RightRecord& right, Why why) {
  const bool is_removed = store_.state().internal_right_of(right.process) == nullptr;
  watches_.on_dead(right, is_removed && why == Why::revoked ? Why::removed : why);
  if (right.internal) instances_.on_removed(right.process);
}

void PromiseService::on_ended(std::uint32_t process, const Maker& but) {
  if (const auto found = timers_.find(process); found != timers_.end()) {
    // Nobody waits for their answers; they are counted as answered.
    const std::size_t gone =
        std::erase_if(found->second, [&](const auto& one) { return one.second.who != but; });
    if (found->second.empty()) timers_.erase(found);
    if (const auto waiting = asked_.find(process); waiting != asked_.end()) {
      waiting->second -= std::min<std::uint32_t>(waiting->second, static_cast<std::uint32_t>(gone));
      if (waiting->second == 0) asked_.erase(waiting);
    }
  }
  if (const auto found = parts_.find(process); found != parts_.end() && found->second.who != but)
    parts_.erase(found);
}

void PromiseService::on_attached() {
  outbox_.attach();
  instances_.on_attached();
  watches_.on_attached();
}

void PromiseService::on_lost() { outbox_.detach(); }

}  // namespace pgrid::control
