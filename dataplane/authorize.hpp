// Whether a sender may do what it asks: the slot, its key, its limits. Only this file makes an
// AuthorizedMessage, so nothing behind it can be given an unchecked message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "abi/shared/counters.hpp"
#include "abi/shared/reason.hpp"
#include "abi/shared/right_table.hpp"
#include "abi/shared/stats.hpp"
#include "dataplane/handle_table.hpp"
#include "dataplane/parse.hpp"
#include "dataplane/ticks.hpp"

namespace pgrid::dataplane {

/// Why a request was refused before a function saw it: what is counted, and what the sender is told.
struct Refusal {
  abi::Counter counter;
  abi::Reason reason;
  /// The sender showed a valid right. If not, the refusal is limited per source prefix.
  bool authorized;
  /// The right's line, to count the refusal there too; nullptr before authorization.
  abi::RightAccount* account = nullptr;
};

/// Notes a refusal on the right's line, if the right was shown.
inline void note_refused(const Refusal& refusal) noexcept {
  if (refusal.account == nullptr) return;
  abi::bump(refusal.account->refused);
  if (refusal.counter == abi::Counter::quota_exceeded || refusal.counter == abi::Counter::busy_right)
    abi::bump(refusal.account->over_limit);
}

/// Evidence that a request passed every check of its right. Borrows the message. Lives in its Authorizer.
class AuthorizedMessage {
 public:
  [[nodiscard]] const MessageView& message() const noexcept { return *message_; }
  [[nodiscard]] const abi::RightCopy& right() const noexcept { return right_; }
  [[nodiscard]] std::uint32_t slot() const noexcept { return slot_; }
  [[nodiscard]] abi::RightAccount& account() const noexcept { return *account_; }

 private:
  friend class Authorizer;
  AuthorizedMessage() = default;
  const MessageView* message_ = nullptr;
  abi::RightAccount* account_ = nullptr;
  std::uint32_t slot_ = 0;
  abi::RightCopy right_;
};

/// One poll core's view of the right table and of its own line per right. Owned by that poll core.
class Authorizer {
 public:
  /// `slots` is written by control at any moment; `accounts` by this poll core alone.
  /// Both have as many lines.
  Authorizer(std::span<const abi::RightSlot> slots, std::span<abi::RightAccount> accounts,
             std::uint32_t poll_cores, const TickRate& rate) noexcept
      : slots_(slots), accounts_(accounts), poll_cores_(poll_cores), tsc_hz_(rate.hz()) {}

  /// Brings both lines of a slot nearer, some messages ahead. Any number is safe.
  void prefetch(std::uint32_t slot) const noexcept {
    if (slot >= slots_.size()) return;
    __builtin_prefetch(&slots_[slot]);
    __builtin_prefetch(&accounts_[slot], 1);
  }

  /// Checks a request. A token of the right's quota is taken only when everything else holds. What it points to is
  /// good until the next call.
  [[nodiscard]] std::expected<const AuthorizedMessage*, Refusal> authorize(const MessageView& message,
                                                                           std::uint64_t now_tsc,
                                                                           std::uint64_t now_unix_ns) noexcept;
  /// The same for a function's request: the right is one that its process holds, which stands for the key.
  /// `message.to` is not looked at.
  [[nodiscard]] std::expected<const AuthorizedMessage*, Refusal> authorize_held(
      const HeldRight& to, const MessageView& message, std::uint64_t now_tsc, std::uint64_t now_unix_ns) noexcept;

  /// Whether a function may pass this right on: nothing, or why not.
  [[nodiscard]] std::optional<Refusal> check_carried(const abi::RightRef& carried, std::uint64_t now_unix_ns) const noexcept;

  /// The line of a right, if it still belongs to that generation: for outcomes of
  /// messages that were in flight.
  [[nodiscard]] abi::RightAccount* account_of(std::uint32_t slot, std::uint32_t generation) noexcept {
    abi::RightAccount& account = accounts_[slot];
    return account.generation.load(std::memory_order_relaxed) == generation ? &account : nullptr;
  }

 private:
  template <bool kWithKey>
  std::expected<const AuthorizedMessage*, Refusal> check(std::uint32_t slot, std::uint32_t generation,
                                                         const MessageView& message, std::uint64_t now_tsc,
                                                         std::uint64_t now_unix_ns) noexcept;

  std::span<const abi::RightSlot> slots_;
  std::span<abi::RightAccount> accounts_;
  std::uint32_t poll_cores_;
  std::uint64_t tsc_hz_;
  AuthorizedMessage authorized_;
};

}  // namespace pgrid::dataplane
