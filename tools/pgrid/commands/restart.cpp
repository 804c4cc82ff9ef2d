// pgrid restart: a new instance, and an end of giving up.
#include "tools/pgrid/command.hpp"

namespace pgrid::tools {
namespace {

class Restart : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own = app.add_subcommand("restart", "Give a process a new instance. One that gave up, or could not be loaded, is "
                                                  "tried again; messages that wait go to the new instance.");
    own.add_option("NAME", name_, "name of the process").required().type_name(kProcessWord);
    own.footer("\nExample:\n  pgrid restart echo");
    return own;
  }

  ExitCode run(Context& context) override {
    const auto process =
        context.api.call({.method = "POST", .path = "/v1/processes/" + path_part(name_) + "/restart"});
    if (!process) return context.report(process.error());
    if (context.printer.json()) {
      context.printer.print(*process);
      return ExitCode::ok;
    }
    if (text_of(*process, "state") == "gave_up")
      context.printer.say(name_ + " was restarted and gave up again: " + text_of(*process, "state_text"));
    else
      context.printer.say(name_ + " is restarted");
    return ExitCode::ok;
  }

 private:
  std::string name_;
};

}  // namespace

std::unique_ptr<Command> make_restart() { return std::make_unique<Restart>(); }

}  // namespace pgrid::tools
