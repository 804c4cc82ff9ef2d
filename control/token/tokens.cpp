#include "control/token/tokens.hpp"

#include <algorithm>
#include <set>

#include "control/capability/narrow.hpp"
#include "control/clock.hpp"
#include "control/token/issue.hpp"

namespace pgrid::control {
namespace {

using token::Digest;
using token::Reason;

constexpr std::uint64_t kNsPerS = 1'000'000'000;
constexpr std::chrono::seconds kSweepEvery{60};
constexpr std::size_t kSweepMax = 4096;  // tokens forgotten at once: one record of the log
constexpr unsigned kRefusalsLoggedMax =
    10;  // each second; more would let whoever sends bad tokens fill the disk

static_assert(token::kSend == abi::kMaySend && token::kDerive == abi::kMayDerive &&
              token::kCarry == abi::kMayCarry);

std::string text_of(const Digest& digest) { return {digest.begin(), digest.end()}; }

Digest digest_from(const std::string& text) {
  Digest digest{};
  std::copy_n(text.begin(), std::min(text.size(), digest.size()), digest.begin());
  return digest;
}

class StoredRevocations : public token::Revocations {
 public:
  explicit StoredRevocations(const State& state) : state_(state) {}
  [[nodiscard]] bool holds(const Digest& digest) const override {
    return state_.revoked_tokens().contains(text_of(digest));
  }

 private:
  const State& state_;
};

Error full(const char* what) {
  return {Errc::out_of_resources, what, std::to_string(kTokensRemembered) + " are remembered already",
          "they are forgotten when they expire; make tokens that live longer, and fewer of them"};
}

/// What is asked, as far as the right goes: a bound that was lowered since the token was made holds as well.
RightSpec within(const token::Terms& terms, const RightRecord& parent) {
  RightSpec spec;
  const auto lower = [](const std::optional<std::uint32_t>& asked,
                        std::uint32_t has) -> std::optional<std::uint32_t> {
    if (!asked) return std::nullopt;
    return has == 0 ? *asked : std::min(*asked, has);
  };
  if (terms.can) spec.permissions = static_cast<std::uint8_t>(*terms.can & parent.permissions);
  spec.rate = lower(terms.rate, parent.rate);
  if (spec.rate || parent.rate != 0) spec.burst = lower(terms.burst, parent.burst);
  spec.in_flight_max = lower(terms.in_flight, parent.in_flight_max);
  if (terms.body_max) spec.body_max = std::min<std::uint32_t>(*terms.body_max, parent.body_max);
  spec.deadline_max_us = lower(terms.deadline_us, parent.deadline_max_us);
  return spec;
}

}  // namespace

Tokens::Tokens(EventLoop& loop, Store& store, Rights& rights, identity::Identity& identity)
    : loop_(loop), store_(store), rights_(rights), identity_(identity) {
  sweep_ = loop_.after(kSweepEvery, [this] { forget_expired(); });
}

void Tokens::issue(const ProcessRecord& issuer, Order order, OnIssued done) {
  const std::int64_t now = unix_s();
  if (!identity::key_of(order.audience))
    return done(fail(Errc::invalid_argument, '"' + order.audience + '"', "is no did:key with Ed25519",
                     "`pgrid id` shows a node's; `pgrid id --new FILE` makes one"));
  if (order.expires_unix <= now || order.expires_unix > now + token::kLifetimeMaxS)
    return done(fail(Errc::invalid_argument, "expires",
                     "a token lives at most 24 hours, and at least a second",
                     "give a time such as 1h, and make a new token when it is over"));
  if (store_.state().issued_tokens().size() >= kTokensRemembered)
    return done(std::unexpected(full("issue a token")));
  const Result<const identity::SigningKey*> key = identity_.key_of(issuer);
  if (!key) return done(std::unexpected(key.error()));
  const std::string did = (*key)->did();
  const std::vector<std::uint8_t> policy = token::policy_of(order.terms);
  Issued made;
  made.bytes = token::sign(**key, token::Delegation{.audience = order.audience,
                                                    .subject = did,
                                                    .command = token::kSendCommand,
                                                    .policy = policy,
                                                    .meta = {},
                                                    .expires = order.expires_unix,
                                                    .not_before = {}});
  if (made.bytes.size() > order.size_max)
    return done(fail(Errc::unsupported, "issue a token",
                     "it has " + std::to_string(made.bytes.size()) + " bytes, at most " +
                         std::to_string(order.size_max) + " fit",
                     "ask for fewer limits"));
  token::Token read;
  if (const Reason reason = token::read(made.bytes, false, token::Profile::node, read);
      reason != Reason::valid)
    return done(
        fail(Errc::internal, "issue a token", "what was made is " + std::string(token::name_of(reason))));
  made.cid = read.digest;
  made.expires_unix = order.expires_unix;
  IssuedToken record{.cid = text_of(read.digest),
                     .payload = text_of(token::digest_of(read.signed_payload)),
                     .expires_unix = static_cast<std::uint64_t>(order.expires_unix),
                     .right = order.right,
                     .process = issuer.index,
                     .generation = issuer.generation,
                     .audience = std::move(order.audience),
                     .has_label = order.label.has_value(),
                     .label = order.label.value_or(0)};
  store_.commit(std::move(record),
                [made = std::move(made), done = std::move(done)](const Result<void>& kept) {
                  if (!kept) return done(std::unexpected(kept.error()));
                  done(made);
                });
}

std::expected<Tokens::Verified, Tokens::NotRedeemed> Tokens::judge(token::Bytes invocation,
                                                                   std::span<const token::Bytes> proofs) {
  const auto no = [](Reason reason) { return std::unexpected(NotRedeemed{reason, {}}); };
  const Result<std::string> node = identity_.node_did();
  if (!node) return std::unexpected(NotRedeemed{Reason::valid, node.error()});
  const State& state = store_.state();
  // An invocation without an audience is for its subject: a process of this node, if that issued the root.
  std::string subject;
  const IssuedToken* root = nullptr;
  if (token::Token asked; token::read(invocation, true, token::Profile::node, asked) == Reason::valid) {
    token::Cursor links(asked.proofs);
    const bool has_root = links.next().value != 0;
    const std::optional<Digest> digest = has_root ? token::token_digest(links.next().content) : std::nullopt;
    const auto found = digest ? state.issued_tokens().find(text_of(*digest)) : state.issued_tokens().end();
    if (found != state.issued_tokens().end()) root = &found->second;
  }
  if (root != nullptr)
    if (const ProcessRecord* issuer = state.process(root->process);
        issuer != nullptr && issuer->generation == root->generation)
      if (const auto key = identity_.key_of(*issuer)) subject = (*key)->did();
  const std::string_view audiences[] = {*node, subject};
  const StoredRevocations revocations(state);
  Verified verified;
  const Reason reason =
      token::verify(invocation, proofs, {.at = unix_s(), .audiences = audiences, .revocations = &revocations},
                    verified.chain);
  if (reason != Reason::valid) return no(reason);
  const token::Token& asked = verified.chain.invocation;
  if (state.spent_invocations().contains(text_of(asked.digest))) return no(Reason::replayed);
  if (asked.command != token::kSendCommand) return no(Reason::command_not_attenuated);
  // Only this node has the keys of its processes: a root that it does not know is one that it has forgotten.
  if (verified.chain.delegations.empty()) return no(Reason::missing_proof);
  if (root == nullptr || root->cid != text_of(verified.chain.delegations.front().digest))
    return no(Reason::revoked);
  const RightRecord* parent = rights_.find(root->right);
  if (parent == nullptr || is_expired(*parent)) return no(Reason::revoked);
  const std::optional<token::Terms> terms = token::terms_in(asked.arguments);
  if (!terms) return no(Reason::policy_violated);
  verified.parent = *parent;
  verified.spec = within(*terms, *parent);
  if (verified.spec.permissions && *verified.spec.permissions == 0) return no(Reason::policy_violated);
  if (root->has_label) verified.spec.label = root->label;
  std::int64_t expires = *asked.expires + token::kLifetimeMaxS;
  for (const token::Token& one : verified.chain.delegations) expires = std::min(expires, *one.expires);
  // The whole second of `exp` is within.
  std::uint64_t end = static_cast<std::uint64_t>(expires) * kNsPerS + (kNsPerS - 1);
  if (parent->expires_unix_ns != 0) end = std::min(end, parent->expires_unix_ns);
  verified.spec.expires_unix_ns = end;
  return verified;
}

void Tokens::redeem(token::Bytes invocation, std::span<const token::Bytes> proofs, std::optional<Maker> maker,
                    OnRedeemed done) {
  const auto verified = judge(invocation, proofs);
  if (!verified) return refuse(verified.error(), done);
  if (store_.state().spent_invocations().size() >= kTokensRemembered)
    return refuse({Reason::valid, full("redeem a token")}, done);
  const token::Token& asked = verified->chain.invocation;
  const std::uint64_t end = *verified->spec.expires_unix_ns / kNsPerS;
  SpentInvocation spent{.cid = text_of(asked.digest),
                        .until_unix = std::max(end, static_cast<std::uint64_t>(*asked.expires)) + 1,
                        .links = {}};
  for (const token::Token& one : verified->chain.delegations) {
    spent.links.push_back(text_of(one.digest));
    spent.links.push_back(text_of(token::digest_of(one.signed_payload)));
  }
  const abi::RightRef parent{verified->parent.slot, verified->parent.generation};
  // One change: no crash leaves the right without its chain, or an invocation spent for nothing.
  RightOwner owner{.holding = {}, .maker = maker, .name = {}, .token = token::cid_text(asked.digest), .also = {}};
  owner.also.emplace_back(std::move(spent));
  rights_.derive(parent, verified->spec, std::move(owner),
                 [done = std::move(done)](Result<RightRecord> right) {
                   if (!right) return done(std::unexpected(NotRedeemed{Reason::valid, right.error()}));
                   done(std::move(*right));
                 });
}

void Tokens::refuse(const NotRedeemed& why, const OnRedeemed& done) {
  const std::int64_t now = unix_s();
  if (now != refusals_second_) refusals_ = 0;
  refusals_second_ = now;
  if (why.reason != Reason::valid && refusals_++ < kRefusalsLoggedMax)
    store_.commit(Happened{"token_refused", 0, 0, std::string(token::name_of(why.reason))},
                  [](const Result<void>&) {});
  done(std::unexpected(why));
}

void Tokens::revoke(const Digest& cid, std::optional<Digest> payload, std::uint64_t until_unix,
                    OnTokenRevoked done) {
  const State& state = store_.state();
  const std::string name = text_of(cid);
  std::set<std::string> digests{name};
  if (payload) digests.insert(text_of(*payload));
  if (const auto issued = state.issued_tokens().find(name); issued != state.issued_tokens().end()) {
    digests.insert(issued->second.payload);
    until_unix = issued->second.expires_unix + 1;
  }
  for (const auto& [invocation, spent] : state.spent_invocations())
    for (std::size_t i = 0; i + 1 < spent.links.size(); i += 2)
      if (spent.links[i] == name) digests.insert(spent.links[i + 1]);
  std::set<std::string> invocations;  // CIDs of those that were redeemed with it, as rights hold them
  for (const auto& [invocation, spent] : state.spent_invocations())
    if (digests.contains(invocation) ||
        std::ranges::any_of(spent.links, [&](const std::string& link) { return digests.contains(link); }))
      invocations.insert(token::cid_text(digest_from(invocation)));
  std::vector<RightRecord> roots;
  for (const auto& [slot, right] : state.rights())
    if (!right.token.empty() && invocations.contains(right.token)) roots.push_back(right);
  std::vector<Change> changes;
  for (const std::string& digest : digests)
    if (!state.revoked_tokens().contains(digest)) changes.emplace_back(RevokedToken{digest, until_unix});
  if (state.revoked_tokens().size() + changes.size() > kTokensRemembered)
    return done(std::unexpected(full("revoke a token")));
  const std::size_t count = roots.size();
  if (roots.empty()) {
    if (changes.empty()) return done(RevokedRights{});
    return store_.commit(std::move(changes), [done = std::move(done)](const Result<void>& kept) {
      if (!kept) return done(std::unexpected(kept.error()));
      done(RevokedRights{});
    });
  }
  rights_.revoke(
      roots,
      [count, done = std::move(done)](Result<Passed> passed) {
        if (!passed) return done(std::unexpected(passed.error()));
        done(RevokedRights{*passed, count});
      },
      Why::revoked, std::move(changes));
}

const SpentInvocation* Tokens::chain_of(const RightRecord& right) const {
  const std::optional<Digest> digest = token::token_digest_from_text(right.token);
  if (!digest) return nullptr;
  const auto found = store_.state().spent_invocations().find(text_of(*digest));
  return found == store_.state().spent_invocations().end() ? nullptr : &found->second;
}

void Tokens::forget_expired() {
  const auto now = static_cast<std::uint64_t>(unix_s());
  const State& state = store_.state();
  std::vector<Change> changes;
  const auto drop = [&](std::uint32_t kind, const std::string& digest, std::uint64_t until) {
    if (until != 0 && until + token::kSkewMaxS < now && changes.size() < kSweepMax)
      changes.emplace_back(DropToken{kind, digest});
  };
  for (const auto& [digest, one] : state.issued_tokens()) drop(0, digest, one.expires_unix);
  for (const auto& [digest, one] : state.revoked_tokens()) drop(1, digest, one.until_unix);
  for (const auto& [digest, one] : state.spent_invocations()) drop(2, digest, one.until_unix);
  if (!changes.empty()) store_.commit(std::move(changes), [](const Result<void>&) {});
  sweep_ = loop_.after(kSweepEvery, [this] { forget_expired(); });
}

}  // namespace pgrid::control
