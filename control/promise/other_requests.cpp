// timer, random, tokens, history.
#include <sodium.h>

#include "control/promise/service.hpp"

namespace pgrid::control {
namespace {

constexpr std::chrono::milliseconds kNextPartWithin{1'000};
constexpr std::size_t kTokenAnswerMax = 1'000;  // bytes of a token that fits a body

}  // namespace

void PromiseService::timer(const Asker& asker, const PromiseRequest& request) {
  auto& timers = timers_[asker.who.process];
  if (timers.size() >= kTimersMax)
    return refuse(asker, abi::Reason::quota_exceeded, "64 timers of this process run already");
  const std::uint64_t number = next_timer_++;
  timers[number] = {asker.who, loop_.after(std::chrono::microseconds(request.us), [this, asker, number] {
                      const auto found = timers_.find(asker.who.process);
                      if (found == timers_.end()) return;
                      const auto timer = found->second.extract(number);  // it holds what runs here
                      if (found->second.empty()) timers_.erase(found);
                      answer(asker, done_body());
                    })};
}

void PromiseService::random(const Asker& asker, const PromiseRequest& request) {
  std::vector<std::uint8_t> bytes(request.count);
  randombytes_buf(bytes.data(), bytes.size());
  answer(asker, bytes_body(bytes));
}

void PromiseService::issue_token(const Asker& asker, const PromiseRequest& request,
                                 const abi::RightRef& right) {
  if (knowledge_.tokens == nullptr) return refuse(asker, abi::Reason::declined, "this node issues no tokens");
  const RightRecord* from = to_derive_from(asker, request, right);
  if (from == nullptr) return;
  knowledge_.tokens->issue(asker.who, *from, std::string(request.who), spec_of(request),
                           [this, asker](const std::expected<std::vector<std::uint8_t>, Refusal>& token) {
                             if (!token) return refuse(asker, token.error().reason, token.error().text);
                             if (token->size() > kTokenAnswerMax)
                               return refuse(asker, abi::Reason::too_large, "the token does not fit a body");
                             answer(asker, bytes_body(*token));
                           });
}

void PromiseService::redeem_token(const Asker& asker, const PromiseRequest& request) {
  if (knowledge_.tokens == nullptr)
    return refuse(asker, abi::Reason::declined, "this node redeems no tokens");
  Parts& parts = parts_[asker.who.process];
  if (parts.who != asker.who) parts = {asker.who, {}, {}};
  if (parts.bytes.size() + request.bytes.size() > kTokensMax) {
    parts_.erase(asker.who.process);
    return refuse(asker, abi::Reason::too_large, "an invocation and its proofs have at most 40,960 bytes");
  }
  parts.bytes.insert(parts.bytes.end(), request.bytes.begin(), request.bytes.end());
  if (request.more) {
    parts.forget = loop_.after(kNextPartWithin, [this, process = asker.who.process] {
      const auto forgotten = parts_.extract(process);  // it holds what runs here
    });
    return answer(asker, done_body());
  }
  std::vector<std::uint8_t> tokens = std::move(parts.bytes);
  parts_.erase(asker.who.process);
  if (!may_have_more(asker)) return;
  knowledge_.tokens->redeem(asker.who, std::move(tokens),
                            [this, asker](const std::expected<abi::RightRef, Refusal>& right) {
                              if (!right) return refuse(asker, right.error().reason, right.error().text);
                              answer(asker, done_body(), {*right});
                            });
}

void PromiseService::revoke_token(const Asker& asker, const PromiseRequest& request) {
  if (knowledge_.tokens == nullptr) return refuse(asker, abi::Reason::declined, "this node issues no tokens");
  std::array<std::uint8_t, kCidSize> cid{};
  std::copy(request.cid.begin(), request.cid.end(), cid.begin());
  knowledge_.tokens->revoke(asker.who, cid, [this, asker](const std::expected<void, Refusal>& revoked) {
    if (!revoked) return refuse(asker, revoked.error().reason, revoked.error().text);
    answer(asker, done_body());
  });
}

void PromiseService::history(const Asker& asker, const PromiseRequest& request) {
  if (!knowledge_.events_of) return refuse(asker, abi::Reason::declined, "this node has no history to ask");
  const std::uint64_t count = request.has(Field::count) ? request.count : kHistoryDefault;
  knowledge_.events_of(
      *process_of(asker.who), request.since, count,
      [this, asker, since = request.since,
       count](const std::expected<std::vector<EventView>, Refusal>& events) {
        if (!events) return refuse(asker, events.error().reason, events.error().text);
        const bool more = events->size() > count;
        answer(asker, history_body(std::span(*events).first(std::min<std::size_t>(events->size(), count)),
                                   since, more));
      });
}

}  // namespace pgrid::control
