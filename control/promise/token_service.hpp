// What the promise protocol asks of tokens (control/token): handle 2 and the HTTP API are two ways to the
// same service.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <vector>

#include "abi/shared/geometry.hpp"
#include "control/capability/rights.hpp"
#include "control/promise/protocol.hpp"
#include "control/store/state.hpp"

namespace pgrid::control {

/// Every callback is called once, now or later, on the loop's thread. A refusal says what became of it:
/// no_such_right, not_permitted, quota_exceeded, busy, too_large or declined; nothing was changed then.
class TokenService {
 public:
  using OnToken = std::function<void(std::expected<std::vector<std::uint8_t>, Refusal>)>;
  using OnRight = std::function<void(std::expected<abi::RightRef, Refusal>)>;
  using OnDone = std::function<void(std::expected<void, Refusal>)>;

  /// A UCAN delegation of `right`, narrowed by `limits` (label is not set, an end is), to the DID `audience`,
  /// signed as the process of `caller`. That the right may be derived from was checked.
  virtual void issue(const Maker& caller, const RightRecord& right, const std::string& audience,
                     const RightSpec& limits, OnToken done) = 0;
  /// `tokens`: an invocation, then its proofs, root first, one behind the other. The new slot has `caller` as
  /// its maker, is committed and published, and is a child of the issuer's right.
  virtual void redeem(const Maker& caller, std::vector<std::uint8_t> tokens, OnRight done) = 0;
  /// `cid`: CIDv1 (DAG-CBOR, SHA-256) of a delegation that the process of `caller` signed. Done when every
  /// poll core has passed the end of the slots that were redeemed with it.
  virtual void revoke(const Maker& caller, const std::array<std::uint8_t, 36>& cid, OnDone done) = 0;

 protected:
  ~TokenService() = default;
};

}  // namespace pgrid::control
