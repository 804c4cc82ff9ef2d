// pgrid man: the manual page.
#include "tools/pgrid/command.hpp"
#include "tools/pgrid/usage/man_page.hpp"

namespace pgrid::tools {
namespace {

class Man : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    root_ = app.app();
    Subcommand own = app.add_subcommand("man", "Print the manual page, pgrid(1), as roff.");
    own.footer("\nExample:\n  pgrid man | man -l -");
    return own;
  }

  ExitCode run(Context& context) override {
    const std::string page = usage::man_page(*root_, "pgrid " PGRID_VERSION);
    if (context.printer.json())
      context.printer.print(nlohmann::json{{"roff", page}});
    else
      context.printer.out() << page << std::flush;
    return ExitCode::ok;
  }

 private:
  const CLI::App* root_ = nullptr;
};

}  // namespace

std::unique_ptr<Command> make_man() { return std::make_unique<Man>(); }

}  // namespace pgrid::tools
