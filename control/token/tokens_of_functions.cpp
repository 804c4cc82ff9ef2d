// Tokens for functions: promise-1's issue_token, redeem_token and revoke_token, over the same service.
#include <algorithm>

#include "control/capability/narrow.hpp"
#include "control/clock.hpp"
#include "control/token/bundle.hpp"
#include "control/token/tokens.hpp"

namespace pgrid::control {
namespace {

constexpr std::uint64_t kNsPerS = 1'000'000'000;

std::unexpected<Refusal> refused(abi::Reason reason, std::string text) {
  return std::unexpected(Refusal{reason, std::move(text)});
}

std::unexpected<Refusal> refused(const Error& error) {
  abi::Reason reason = abi::Reason::declined;
  switch (error.code) {
    case Errc::not_permitted:
      reason = abi::Reason::not_permitted;
      break;
    case Errc::not_found:
      reason = abi::Reason::no_such_right;
      break;
    case Errc::unsupported:
      reason = abi::Reason::too_large;
      break;
    case Errc::out_of_resources:
    case Errc::busy:
    case Errc::unavailable:
      reason = abi::Reason::busy;
      break;
    default:
      break;
  }
  return refused(reason, error.sentence());
}

/// The process, if it is still the one that asked.
const ProcessRecord* process_of(const State& state, const Maker& caller) {
  const ProcessRecord* process = state.process(caller.process);
  return process != nullptr && process->generation == caller.generation ? process : nullptr;
}

}  // namespace

void Tokens::issue(const Maker& caller, const RightRecord& right, const std::string& audience,
                   const RightSpec& limits, OnToken done) {
  const ProcessRecord* process = process_of(store_.state(), caller);
  if (process == nullptr) return done(refused(abi::Reason::declined, "the process is gone"));
  const Result<RightRecord> child = narrowed(right, limits, static_cast<std::uint64_t>(unix_ns()));
  if (!child) return done(refused(child.error()));
  if (child->expires_unix_ns == 0) return done(refused(abi::Reason::not_permitted, "a token needs an end"));
  Order order{.right = {right.slot, right.generation},
              .audience = audience,
              .terms = {.can = limits.permissions,
                        .rate = limits.rate,
                        .burst = limits.burst,
                        .in_flight = limits.in_flight_max,
                        .body_max = limits.body_max,
                        .deadline_us = limits.deadline_max_us},
              .label = {},
              .expires_unix = static_cast<std::int64_t>(child->expires_unix_ns / kNsPerS),
              .size_max = kGuestTokenMax};
  if (order.terms.rate == 0u) order.terms.rate.reset();  // no limit: as the right has it
  // The end of a right that has one may be farther away than a token may live.
  if (!limits.expires_in_s && !limits.expires_unix_ns)
    order.expires_unix = std::min(order.expires_unix, unix_s() + token::kLifetimeMaxS);
  issue(*process, std::move(order), [done = std::move(done)](Result<Issued> made) {
    if (!made) return done(refused(made.error()));
    done(std::move(made->bytes));
  });
}

void Tokens::redeem(const Maker& caller, std::vector<std::uint8_t> tokens, OnRight done) {
  if (process_of(store_.state(), caller) == nullptr)
    return done(refused(abi::Reason::declined, "the process is gone"));
  const std::vector<token::Bytes> parts = token::split(tokens);
  if (parts.empty()) return done(refused(abi::Reason::not_permitted, "malformed"));
  redeem(parts.front(), std::span(parts).subspan(1), caller,
         [done = std::move(done)](const std::expected<RightRecord, NotRedeemed>& right) {
           if (right) return done(abi::RightRef{right->slot, right->generation});
           if (right.error().reason == token::Reason::valid) return done(refused(right.error().error));
           done(refused(abi::Reason::not_permitted, std::string(token::name_of(right.error().reason))));
         });
}

void Tokens::revoke(const Maker& caller, const std::array<std::uint8_t, 36>& cid, OnDone done) {
  const std::optional<token::Digest> digest = token::token_digest(cid);
  const State& state = store_.state();
  const auto issued = digest ? state.issued_tokens().find(std::string(digest->begin(), digest->end()))
                             : state.issued_tokens().end();
  if (issued == state.issued_tokens().end())
    return done(
        refused(abi::Reason::no_such_right, "no token of this CID was issued here, or it has expired"));
  if (issued->second.process != caller.process || issued->second.generation != caller.generation)
    return done(refused(abi::Reason::not_permitted, "another process issued it"));
  revoke(*digest, std::nullopt, 0, [done = std::move(done)](const Result<RevokedRights>& ended) {
    if (!ended) return done(refused(ended.error()));
    done({});
  });
}

}  // namespace pgrid::control
