// pgrid cap redeem: a right for a token.
#include <algorithm>
#include <ctime>

#include "control/token/bundle.hpp"
#include "control/token/issue.hpp"
#include "tools/pgrid/tokens/commands.hpp"
#include "tools/pgrid/tokens/held_token.hpp"
#include "tools/pgrid/tokens/token_input.hpp"

namespace pgrid::tools {
namespace {

constexpr std::int64_t kInvocationLivesS = 300;  // UCAN, "Expiration": a few minutes, for clocks that differ

/// The tighter of what the chain leaves and what is asked.
token::Terms both(token::Terms terms, const token::Terms& asked) {
  const std::vector<std::uint8_t> policy = token::policy_of(asked);
  token::narrow(terms, policy);
  return terms;
}

class CapRedeem : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own = app.add_subcommand("redeem", "Turn a token that you hold into a right, which is printed as a grid:// URI. It lasts as "
                                                 "long as the token and is no wider.");
    own.add_option("TOKEN", token_, "the token, or an invocation with its proofs: a file, or the text itself")
        .required()
        .type_name(kFileWord);
    own.add_option("--key", key_, "file with your key, as `pgrid id --new` made it; not with an invocation").type_name(kFileWord);
    terms_.declare(own);
    own.add_option("--audience", audience_, "DID of the node that the invocation is for (default: the one that is asked)")
        .type_name("DID");
    own.add_option("-o,--output", output_, "write the invocation with its proofs to this file, and redeem nothing")
        .type_name(kFileWord);
    own.footer("\nExample:\n  pgrid cap redeem echo.ucan --key alice.key");
    return own;
  }

  ExitCode run(Context& context) override {
    const Result<std::string> given = read_tokens(token_);
    if (!given) return context.printer.report(ExitCode::usage, given.error());
    const std::vector<token::Bytes> parts = token::split(bytes_of(*given));
    token::Token first;
    const bool is_invocation =
        !parts.empty() && token::read(parts.front(), true, token::Profile::node, first) == token::Reason::valid;
    std::string all = *given;
    if (!is_invocation) {
      const Result<std::string> made = invoke(context);
      if (!made)
        return is_no_node(made.error()) ? context.report(made.error())
                                        : context.printer.report(exit_code_of(made.error().code), made.error());
      all = *made;
    }
    const std::string text = token::bundle_text(bytes_of(all));
    if (!output_.empty()) {
      if (const auto written = write_line(output_, text); !written)
        return context.printer.report(ExitCode::refused, written.error());
      return ExitCode::ok;
    }
    const auto right = context.api.call(
        {.method = "POST", .path = "/v1/tokens/redeem", .body = nlohmann::json{{"tokens", text}}.dump()});
    if (!right) return context.report(right.error());
    if (context.printer.json()) {
      context.printer.print(*right);
      return ExitCode::ok;
    }
    context.printer.say(text_of(*right, "uri"));
    context.printer.err() << "right " << text_of(*right, "slot") << '.' << text_of(*right, "generation") << " to "
                          << text_of(*right, "process") << ", until " << date_text(number_of(*right, "expires_unix")) << " UTC\n";
    return ExitCode::ok;
  }

 private:
  /// The invocation and its proofs, one behind the other.
  Result<std::string> invoke(const Context& context) const {
    const auto held = HeldToken::read(token_);
    if (!held) return std::unexpected(held.error());
    if (key_.empty()) return fail(Errc::invalid_argument, "redeem a token", "no key is given", "give yours with --key FILE");
    const auto key = (*held)->key(key_);
    if (!key) return std::unexpected(key.error());
    const Result<token::Terms> asked = terms_.terms();
    if (!asked) return std::unexpected(asked.error());
    std::string node = audience_;
    if (node.empty()) {
      const auto answer = context.api.call({.path = "/v1/identity"});
      if (!answer) return std::unexpected(answer.error());
      node = text_of(*answer, "did");
    }
    std::vector<token::Digest> proofs;
    for (const token::Token& one : (*held)->chain()) proofs.push_back(one.digest);
    const std::vector<std::uint8_t> arguments = token::arguments_of(both((*held)->terms(), *asked));
    const std::int64_t now = std::time(nullptr);
    const std::vector<std::uint8_t> made =
        token::sign(*key, token::Invocation{.audience = node,
                                            .subject = (*held)->last().subject,
                                            .command = token::kSendCommand,
                                            .arguments = arguments,
                                            .proofs = proofs,
                                            .expires = now + kInvocationLivesS,
                                            .issued_at = now});
    return std::string(made.begin(), made.end()) + (*held)->bytes();
  }

  std::string token_;
  std::string key_;
  TermOptions terms_;
  std::string audience_;
  std::string output_;
};

}  // namespace

std::unique_ptr<Command> make_cap_redeem() { return std::make_unique<CapRedeem>(); }

}  // namespace pgrid::tools
