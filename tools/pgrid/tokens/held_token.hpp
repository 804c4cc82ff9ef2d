// A token that somebody holds, with those before it: what can be passed on or used.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "control/identity/signing_key.hpp"
#include "control/token/terms.hpp"
#include "control/token/token.hpp"
#include "drivers/base/result.hpp"

namespace pgrid::tools {

/// Views into `bytes`, so it stays where it is.
class HeldToken {
 public:
  /// The delegations in a file or an argument, root first, each made out to the issuer of the next.
  [[nodiscard]] static Result<std::unique_ptr<HeldToken>> read(const std::string& argument);

  [[nodiscard]] const std::string& bytes() const { return bytes_; }
  [[nodiscard]] const std::vector<token::Token>& chain() const { return chain_; }
  [[nodiscard]] const token::Token& last() const { return chain_.back(); }
  /// What the policies of the chain leave, as far as they bound the terms of a right.
  [[nodiscard]] token::Terms terms() const;
  [[nodiscard]] std::int64_t expires() const;
  /// Refuses a key that the token is not made out to.
  [[nodiscard]] Result<identity::SigningKey> key(const std::string& path) const;

 private:
  std::string bytes_;
  std::vector<token::Token> chain_;
};

}  // namespace pgrid::tools
