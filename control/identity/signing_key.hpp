// An Ed25519 key that signs (RFC 8032). The secret leaves memory when the object does.
#pragma once

#include <array>
#include <span>

#include "control/identity/did_key.hpp"

namespace pgrid::identity {

using Seed = std::array<std::uint8_t, 32>;
using Signature = std::array<std::uint8_t, 64>;

class SigningKey {
 public:
  explicit SigningKey(const Seed& seed);
  ~SigningKey();
  SigningKey(const SigningKey&) = default;
  SigningKey& operator=(const SigningKey&) = default;

  [[nodiscard]] const PublicKey& public_key() const { return public_key_; }
  [[nodiscard]] std::string did() const { return did_of(public_key_); }
  [[nodiscard]] Signature sign(std::span<const std::uint8_t> message) const;

 private:
  PublicKey public_key_{};
  std::array<std::uint8_t, 64> secret_{};  // seed and public key, as libsodium keeps it
};

}  // namespace pgrid::identity
