// pgrid rm: removes a process.
#include "tools/pgrid/command.hpp"

namespace pgrid::tools {
namespace {

class Rm : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own = app.add_subcommand("rm", "Remove a process: revoke its rights, unload it, forget it.");
    own.add_option("NAME", name_, "name of the process").required().type_name(kProcessWord);
    own.footer("\nExample:\n  pgrid rm echo");
    return own;
  }

  ExitCode run(Context& context) override {
    const auto answer = context.api.call({.method = "DELETE", .path = "/v1/processes/" + path_part(name_)});
    if (!answer) return context.report(answer.error());
    if (context.printer.json()) context.printer.print(*answer);
    context.printer.say(name_ + " is removed, and every right to it revoked");
    return ExitCode::ok;
  }

 private:
  std::string name_;
};

}  // namespace

std::unique_ptr<Command> make_rm() { return std::make_unique<Rm>(); }

}  // namespace pgrid::tools
