// pgrid cap attenuate: passes a token on, narrower.
#include <ctime>
#include <iostream>

#include "control/token/bundle.hpp"
#include "control/token/issue.hpp"
#include "tools/pgrid/tokens/commands.hpp"
#include "tools/pgrid/tokens/held_token.hpp"
#include "tools/pgrid/tokens/token_input.hpp"

namespace pgrid::tools {
namespace {

class CapAttenuate : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own = app.add_subcommand("attenuate", "Pass a token that you hold on to somebody else, with less in it. Needs no node, "
                                                    "only your key.");
    own.add_option("TOKEN", token_, "the token: a file, or the text itself").required().type_name(kFileWord);
    own.add_option("--to", to_, "DID of whoever is to hold it").required().type_name("DID");
    own.add_option("--key", key_, "file with your key, as `pgrid id --new` made it").required().type_name(kFileWord);
    terms_.declare(own);
    add_duration(own, "--expires", expires_us_, "how long it is valid (default, and at most: as long as the token)");
    own.add_option("-o,--output", output_, "write the new token to this file instead of stdout").type_name(kFileWord);
    own.footer("\nExample:\n  pgrid cap attenuate echo.ucan --to did:key:z6Mk... --key alice.key --rate 10 -o bob.ucan");
    return own;
  }

  ExitCode run(Context& context) override {
    const auto refuse = [&](const Error& error, ExitCode code) { return context.printer.report(code, error); };
    const auto held = HeldToken::read(token_);
    if (!held) return refuse(held.error(), ExitCode::usage);
    if ((*held)->chain().size() >= token::kNodeLimits.chain_max)
      return refuse({Errc::invalid_argument, "the token", "has been passed on as often as it can be, eight delegations long",
                     "ask somebody earlier in its chain"},
                    ExitCode::refused);
    const auto key = (*held)->key(key_);
    if (!key) return refuse(key.error(), ExitCode::refused);
    const Result<token::Terms> terms = terms_.terms();
    if (!terms) return refuse(terms.error(), ExitCode::usage);
    if (!identity::key_of(to_))
      return refuse({Errc::invalid_argument, "--to " + to_, "is no did:key with Ed25519", "`pgrid id --key FILE` prints one"},
                    ExitCode::usage);
    std::int64_t expires = (*held)->expires();
    if (expires_us_ != 0)
      expires = std::min(expires, static_cast<std::int64_t>(std::time(nullptr)) + static_cast<std::int64_t>((expires_us_ + 999'999) / 1'000'000));
    const std::vector<std::uint8_t> policy = token::policy_of(*terms);
    const std::vector<std::uint8_t> made = token::sign(*key, token::Delegation{.audience = to_,
                                                                               .subject = (*held)->last().subject,
                                                                               .command = (*held)->last().command,
                                                                               .policy = policy,
                                                                               .meta = {},
                                                                               .expires = expires,
                                                                               .not_before = {}});
    const std::string all = (*held)->bytes() + std::string(made.begin(), made.end());
    const std::string text = token::bundle_text(bytes_of(all));
    if (!output_.empty())
      if (const auto written = write_line(output_, text); !written) return refuse(written.error(), ExitCode::refused);
    const std::string cid = token::cid_text(token::digest_of(made));
    if (context.printer.json()) {
      context.printer.print(nlohmann::json{{"token", text}, {"cid", cid}, {"expires_unix", expires}});
      return ExitCode::ok;
    }
    if (output_.empty()) context.printer.say(text);
    context.printer.err() << "token " << cid << ", until " << date_text(static_cast<std::uint64_t>(expires)) << " UTC\n";
    return ExitCode::ok;
  }

 private:
  std::string token_;
  std::string to_;
  std::string key_;
  TermOptions terms_;
  std::uint64_t expires_us_ = 0;
  std::string output_;
};

}  // namespace

std::unique_ptr<Command> make_cap_attenuate() { return std::make_unique<CapAttenuate>(); }

}  // namespace pgrid::tools
