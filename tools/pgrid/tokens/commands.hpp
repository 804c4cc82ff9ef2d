// The commands about identities and tokens.
#pragma once

#include "control/token/terms.hpp"
#include "tools/pgrid/command.hpp"

namespace pgrid::tools {

std::unique_ptr<Command> make_id();
std::unique_ptr<Command> make_cap_verify();
std::unique_ptr<Command> make_cap_grant();
std::unique_ptr<Command> make_cap_attenuate();
std::unique_ptr<Command> make_cap_redeem();

/// The options that limit what a token allows: --can, --rate, --burst, --in-flight, --body-max, --deadline.
struct TermOptions {
  std::string can;
  std::optional<std::uint64_t> rate, burst, in_flight;
  std::uint64_t body_max = 0;
  std::uint64_t deadline_us = 0;

  void declare(Subcommand own);
  [[nodiscard]] Result<token::Terms> terms() const;
};

/// Revokes the token in a file or of a CID. Nothing: `what` is neither.
[[nodiscard]] std::optional<ExitCode> revoke_token(Context& context, const std::string& what);
/// Lists the tokens that the node issued.
[[nodiscard]] ExitCode list_tokens(Context& context);

}  // namespace pgrid::tools
