#include "dataplane/authorize.hpp"

#include "dataplane/token_bucket.hpp"

namespace pgrid::dataplane {
namespace {

using abi::Counter;
using abi::Reason;

/// One answer for all of these: whoever tries learns nothing. The counters tell them apart.
[[gnu::cold]] std::unexpected<Refusal> no_such_right(Counter counter) noexcept {
  return std::unexpected(Refusal{counter, Reason::no_such_right, false});
}

/// Says why a right does not fit. `key_fits` was found out before, in constant time.
[[gnu::cold]] std::unexpected<Refusal> unfit(const abi::RightCopy& right, std::uint32_t generation,
                                             bool key_fits) noexcept {
  const bool never_used = right.target_kind() == abi::Target::free && right.generation() == 0;
  if (never_used) return no_such_right(Counter::right_unknown);
  if (generation != right.generation()) {
    const bool older = static_cast<std::int32_t>(right.generation() - generation) > 0;
    return no_such_right(older ? Counter::right_old_generation : Counter::right_unknown);
  }
  if (right.target_kind() == abi::Target::free) return no_such_right(Counter::right_unknown);
  if (!key_fits) return no_such_right(Counter::right_wrong_key);
  return no_such_right(Counter::right_revoked);
}

/// A line that belonged to an earlier use of the slot starts afresh, with a full bucket.
[[gnu::cold]] void clear_account(abi::RightAccount& account, std::uint32_t generation) noexcept {
  constexpr auto relaxed = std::memory_order_relaxed;
  account.in_flight.store(0, relaxed);
  for (abi::Word* word : {&account.tokens_tsc, &account.kept, &account.broken, &account.declined,
                          &account.no_answer, &account.refused, &account.over_limit})
    word->store(0, relaxed);
  account.generation.store(generation, relaxed);
}

}  // namespace

/// Made twice, with and without the key, so that the wire's path has no branch for functions.
template <bool kWithKey>
[[gnu::always_inline]] inline std::expected<const AuthorizedMessage*, Refusal> Authorizer::check(
    std::uint32_t slot, std::uint32_t generation, const MessageView& message, std::uint64_t now_tsc,
    std::uint64_t now_unix_ns) noexcept {
  if (slot >= slots_.size()) [[unlikely]]
    return no_such_right(Counter::right_unknown);

  abi::RightCopy& right = authorized_.right_;
  if (!right.read(slots_[slot])) [[unlikely]]
    return std::unexpected(Refusal{Counter::right_being_written, Reason::busy, false});

  bool key_fits = true;
  if constexpr (kWithKey) key_fits = right.has_key(message.to->key()->Data());
  const bool in_use = right.target_kind() != abi::Target::free && right.target_kind() != abi::Target::revoked;
  if (!key_fits || !in_use || right.generation() != generation) [[unlikely]]
    return unfit(right, generation, key_fits);
  if (right.expires_unix_ns() != 0 && now_unix_ns >= right.expires_unix_ns()) [[unlikely]]
    return no_such_right(Counter::right_expired);

  // From here on the sender has shown a valid right: every refusal is answered and
  // counted on the right's line.
  abi::RightAccount& account = accounts_[slot];
  if (account.generation.load(std::memory_order_relaxed) != right.generation()) [[unlikely]]
    clear_account(account, right.generation());
  const auto refuse = [&account](Counter counter, Reason reason) {
    return std::unexpected(Refusal{counter, reason, true, &account});
  };
  const bool may_send = (right.permissions() & abi::kMaySend) != 0 && right.target_kind() == abi::Target::process;
  if (!may_send) [[unlikely]]
    return refuse(Counter::not_permitted, Reason::not_permitted);
  if (message.nb_rights != 0) [[unlikely]]
    return refuse(Counter::carried_rights_refused, Reason::not_permitted);
  if (message.body.size() > right.body_max()) [[unlikely]]
    return refuse(Counter::too_large, Reason::too_large);
  if (right.rate() != 0) {
    // What a function asks comes by way of one poll core, its home: the whole rate is there.
    const BucketShape shape = bucket_shape(right.rate(), right.burst(), kWithKey ? poll_cores_ : 1, tsc_hz_);
    if (!take_token(account.tokens_tsc, shape, now_tsc)) [[unlikely]]
      return refuse(Counter::quota_exceeded, Reason::quota_exceeded);
  }

  authorized_.message_ = &message;
  authorized_.account_ = &account;
  authorized_.slot_ = slot;
  return &authorized_;
}

std::optional<Refusal> Authorizer::check_carried(const abi::RightRef& carried, std::uint64_t now_unix_ns) const noexcept {
  const auto refuse = [](Counter counter, Reason reason) { return Refusal{counter, reason, true}; };
  abi::RightCopy right;
  if (carried.slot >= slots_.size()) return refuse(Counter::carried_unknown, Reason::no_such_right);
  if (!right.read(slots_[carried.slot])) return refuse(Counter::right_being_written, Reason::busy);
  const bool in_use = right.target_kind() != abi::Target::free && right.target_kind() != abi::Target::revoked;
  const bool expired = right.expires_unix_ns() != 0 && now_unix_ns >= right.expires_unix_ns();
  if (!in_use || right.generation() != carried.generation || expired)
    return refuse(Counter::carried_unknown, Reason::no_such_right);
  if ((right.permissions() & abi::kMayCarry) == 0)
    return refuse(Counter::carried_not_permitted, Reason::not_permitted);
  return std::nullopt;
}

std::expected<const AuthorizedMessage*, Refusal> Authorizer::authorize(const MessageView& message,
                                                                       std::uint64_t now_tsc,
                                                                       std::uint64_t now_unix_ns) noexcept {
  return check<true>(message.to->slot(), message.to->generation(), message, now_tsc, now_unix_ns);
}

std::expected<const AuthorizedMessage*, Refusal> Authorizer::authorize_held(const HeldRight& to,
                                                                            const MessageView& message,
                                                                            std::uint64_t now_tsc,
                                                                            std::uint64_t now_unix_ns) noexcept {
  return check<false>(to.slot, to.generation, message, now_tsc, now_unix_ns);
}

}  // namespace pgrid::dataplane
