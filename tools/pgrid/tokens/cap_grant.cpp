// pgrid cap grant: a token for somebody else.
#include "tools/pgrid/tokens/commands.hpp"
#include "tools/pgrid/tokens/token_input.hpp"

namespace pgrid::tools {
namespace {

class CapGrant : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own = app.add_subcommand("grant", "Make a token by which somebody else, known by a DID, may have a right to send to a "
                                                "process. It can be passed on, narrower, and taken back.");
    own.add_option("NAME", right_, "name of a process, or a right as `pgrid cap ls` shows it").required().type_name(kProcessWord);
    own.add_option("--to", to_, "DID of whoever is to hold it, as `pgrid id` prints one").required().type_name("DID");
    terms_.declare(own);
    add_number(own, "--label", label_, "number that the function sees with every message through such a right");
    add_duration(own, "--expires", expires_us_, "how long it is valid, at most 24h (default: 1h)");
    own.add_option("-o,--output", output_, "write the token to this file instead of stdout").type_name(kFileWord);
    own.footer("\nExample:\n  pgrid cap grant echo --to did:key:z6Mk... --can send --rate 100 --expires 1h -o echo.ucan");
    return own;
  }

  ExitCode run(Context& context) override {
    const Result<token::Terms> terms = terms_.terms();
    if (!terms) return context.printer.report(ExitCode::usage, terms.error());
    nlohmann::json body{{"right", right_}, {"to", to_}};
    const auto put = [&body](const char* key, const auto& value) {
      if (value) body[key] = *value;
    };
    if (!terms_.can.empty()) body["can"] = terms_.can;
    put("rate", terms->rate);
    put("burst", terms->burst);
    put("in_flight_max", terms->in_flight);
    put("body_max", terms->body_max);
    put("deadline_max_us", terms->deadline_us);
    put("label", label_);
    if (expires_us_ != 0) body["expires_in_s"] = (expires_us_ + 999'999) / 1'000'000;
    const auto made = context.api.call({.method = "POST", .path = "/v1/tokens", .body = body.dump()});
    if (!made) return context.report(made.error());
    if (!output_.empty())
      if (const auto written = write_line(output_, text_of(*made, "token")); !written)
        return context.printer.report(ExitCode::refused, written.error());
    if (context.printer.json()) {
      context.printer.print(*made);
      return ExitCode::ok;
    }
    if (output_.empty()) context.printer.say(text_of(*made, "token"));
    context.printer.err() << "token " << text_of(*made, "cid") << " for " << text_of(*made, "process") << ", until "
                          << date_text(number_of(*made, "expires_unix"))
                          << " UTC; take it back with: pgrid cap revoke " << text_of(*made, "cid") << context.node_option() << '\n';
    return ExitCode::ok;
  }

 private:
  std::string right_;
  std::string to_;
  TermOptions terms_;
  std::optional<std::uint64_t> label_;
  std::uint64_t expires_us_ = 0;
  std::string output_;
};

}  // namespace

std::unique_ptr<Command> make_cap_grant() { return std::make_unique<CapGrant>(); }

}  // namespace pgrid::tools
