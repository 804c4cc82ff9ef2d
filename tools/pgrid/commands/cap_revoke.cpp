// pgrid cap revoke: takes a right back.
#include <algorithm>

#include "tools/pgrid/command.hpp"
#include "tools/pgrid/tokens/commands.hpp"

namespace pgrid::tools {
namespace {

/// "5.1": two whole numbers.
bool is_right_id(const std::string& text) {
  const std::size_t dot = text.find('.');
  const auto digits = [](std::string_view part) {
    return !part.empty() && part.size() <= 10 &&
           std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  return dot != std::string::npos && digits(std::string_view(text).substr(0, dot)) &&
         digits(std::string_view(text).substr(dot + 1));
}

/// A name that a right was given: it has no dot and is no number.
bool is_right_name(const std::string& text) {
  return text.size() <= 63 && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos &&
         text.find_first_not_of("0123456789") != std::string::npos;
}

class CapRevoke : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own = app.add_subcommand("revoke", "Revoke a right and all that was derived from it, or a token and every right that was "
                                                 "redeemed with it. When this returns, nothing more gets in through them.");
    own.add_option("RIGHT", right_, "a right: its name or SLOT.GENERATION; or a token: a file or its CID").required().type_name(kRightWord);
    own.footer("\nExamples:\n  pgrid cap revoke desk\n  pgrid cap revoke 5.1\n  pgrid cap revoke echo.ucan\n  pgrid cap revoke zdpu...");
    return own;
  }

  ExitCode run(Context& context) override {
    if (!is_right_id(right_))
      if (const std::optional<ExitCode> code = revoke_token(context, right_)) return *code;
    if (!is_right_id(right_) && !is_right_name(right_))
      return context.printer.report(ExitCode::usage,
                                    Error{Errc::invalid_argument, '"' + right_ + '"', "is neither a right nor a token",
                                          "write a name or SLOT.GENERATION, as `pgrid cap ls` shows them, or a token's file or CID"});
    const auto answer = context.api.call({.method = "DELETE", .path = "/v1/rights/" + path_part(right_)});
    if (!answer) return context.report(answer.error());
    if (context.printer.json()) context.printer.print(*answer);
    const std::uint64_t count = number_of(*answer, "count");  // with the right itself
    context.printer.say("right " + right_ + " is revoked" + (count > 1 ? ", and " + grouped(count - 1) + " derived from it" : "") +
                        (text_of(*answer, "applies") == "at_restart"
                             ? "; the data plane is away, and will not know the right when it is back"
                             : ""));
    return ExitCode::ok;
  }

 private:
  std::string right_;
};

}  // namespace

std::unique_ptr<Command> make_cap_revoke() { return std::make_unique<CapRevoke>(); }

}  // namespace pgrid::tools
