// Tokens of this node's rights: issued, redeemed for rights, revoked. What people ask through the API and
// functions through handle 2 comes here.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/capability/rights.hpp"
#include "control/event_loop.hpp"
#include "control/identity/identity.hpp"
#include "control/promise/token_service.hpp"
#include "control/store/store.hpp"
#include "control/token/chain.hpp"
#include "control/token/terms.hpp"

namespace pgrid::control {

inline constexpr std::size_t kTokensRemembered =
    65'536;  // of each kind that are remembered: 24 h at less than one a second each
inline constexpr std::size_t kGuestTokenMax =
    1000;  // bytes of one that a function asks for (promise-1, issue_token)

/// Of a token that was made.
struct Issued {
  std::vector<std::uint8_t> bytes;
  token::Digest cid{};
  std::int64_t expires_unix = 0;
};
struct RevokedRights {
  Passed passed = Passed::now;
  std::size_t rights = 0;
};

/// Owned by control's one thread. Callbacks are called once, from the loop; at once when nothing was done.
class Tokens final : public TokenService {
 public:
  using OnIssued = std::function<void(Result<Issued>)>;
  /// The word when a token is refused; the sentence when something else is wrong.
  struct NotRedeemed {
    token::Reason reason = token::Reason::valid;  // valid: it was not the token
    Error error;
  };
  using OnRedeemed = std::function<void(std::expected<RightRecord, NotRedeemed>)>;
  using OnTokenRevoked = std::function<void(Result<RevokedRights>)>;

  Tokens(EventLoop& loop, Store& store, Rights& rights, identity::Identity& identity);

  struct Order {
    abi::RightRef right{};
    std::string audience;  // DID
    token::Terms terms;
    std::optional<std::uint64_t> label;  // of what is redeemed; else the right's
    std::int64_t expires_unix = 0;
    std::size_t size_max = token::kNodeLimits.token_max;
  };
  /// Signed as `issuer`, which must be there.
  void issue(const ProcessRecord& issuer, Order order, OnIssued done);

  /// The new right belongs to people, or to the function `maker`.
  void redeem(token::Bytes invocation, std::span<const token::Bytes> proofs, std::optional<Maker> maker,
              OnRedeemed done);

  /// No token whose CID holds this digest is taken any more, and what was redeemed with it ends. `payload`
  /// and `until_unix` where the token itself is known.
  void revoke(const token::Digest& cid, std::optional<token::Digest> payload, std::uint64_t until_unix,
              OnTokenRevoked done);

  // For functions.
  void issue(const Maker& caller, const RightRecord& right, const std::string& audience,
             const RightSpec& limits, OnToken done) override;
  void redeem(const Maker& caller, std::vector<std::uint8_t> tokens, OnRight done) override;
  void revoke(const Maker& caller, const std::array<std::uint8_t, 36>& cid, OnDone done) override;

  /// The invocation that a right came from and its chain; null: none, or it has expired.
  [[nodiscard]] const SpentInvocation* chain_of(const RightRecord& right) const;

 private:
  struct Verified {
    token::Chain chain;
    RightRecord parent;
    RightSpec spec;
  };
  [[nodiscard]] std::expected<Verified, NotRedeemed> judge(token::Bytes invocation,
                                                           std::span<const token::Bytes> proofs);
  void refuse(const NotRedeemed& why, const OnRedeemed& done);
  void forget_expired();

  EventLoop& loop_;
  Store& store_;
  Rights& rights_;
  identity::Identity& identity_;
  Pending sweep_;
  std::int64_t refusals_second_ = 0;  // which second
  unsigned refusals_ = 0;             // that were written to the log in it
};

}  // namespace pgrid::control
