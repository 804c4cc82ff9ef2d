// pgrid cap revoke: takes a right back.
#include <algorithm>

#include "tools/pgrid/command.hpp"

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

class CapRevoke : public Command {
 public:
  CLI::App* declare(CLI::App& app) override {
    CLI::App* own = app.add_subcommand("revoke", "Revoke a right. When this returns, nothing more gets in through it.");
    own->add_option("SLOT.GENERATION", right_, "the right, as `pgrid cap ls` shows it")->required();
    own->footer("\nExample:\n  pgrid cap revoke 5.1");
    return own;
  }

  ExitCode run(Context& context) override {
    if (!is_right_id(right_))
      return context.printer.report(ExitCode::usage,
                                    Error{Errc::invalid_argument, '"' + right_ + '"', "is not a right's number",
                                          "write SLOT.GENERATION, as `pgrid cap ls` shows it"});
    const auto answer = context.api.call({.method = "DELETE", .path = "/v1/rights/" + right_});
    if (!answer) return context.report(answer.error());
    if (context.printer.json()) context.printer.print(*answer);
    context.printer.say("right " + right_ + " is revoked" +
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
