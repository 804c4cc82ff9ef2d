#include "tools/pgrid/command_line.hpp"

#include "tools/pgrid/tokens/commands.hpp"
#include "tools/pgrid/usage/help_text.hpp"

namespace pgrid::tools {
namespace {

constexpr char kAbout[] =
    "pgrid runs a PromiseGrid node and everything you do with it: deploy WebAssembly functions, call them, give and take\n"
    "back rights to call them, see what happens.\n";

constexpr char kFooter[] = R"(
Start here:
  pgrid doctor                               what this machine still needs
  pgrid up --config node.toml                run a node; Ctrl-C stops it
  pgrid new --lang c hello && make -C hello  a function of your own
  pgrid deploy hello/hello.wasm              run it on the node
  pgrid invoke hello 'some text'             call it
`pgrid COMMAND --help` tells more, with an example.

Every command:
  The node is the one of --node DIR, else of $PGRID_NODE, else the machine's own: /run/pgrid.
  --json writes JSON to stdout, and errors to stderr as {"error": {"code": ..., "message": ...}}.

Exit status:
  0  done
  1  the node refused, or the answer was a non-commitment
  2  wrong arguments or configuration; nothing was done
  3  no node is running there
  4  timed out: asked, and heard nothing)";

}  // namespace

CommandLine::CommandLine() : app_(kAbout, "pgrid") {
  app_.formatter(std::make_shared<usage::HelpText>());
  app_.footer(kFooter);
  app_.require_subcommand(1);
  app_.fallthrough();
  app_.add_option("--node", node_, "directory of the node")->envname("PGRID_NODE")->type_name("DIR");
  app_.add_flag("--json", json_, "write JSON for programs");
  app_.set_version_flag("--version", std::string("pgrid ") + PGRID_VERSION, "print the version and exit");

  add(app_, make_up());
  add(app_, make_doctor());
  add(app_, make_new());
  add(app_, make_verify());
  add(app_, make_deploy());
  add(app_, make_ls());
  add(app_, make_inspect());
  add(app_, make_restart());
  add(app_, make_rm());
  add(app_, make_logs());
  add(app_, make_log());
  CLI::App* log = app_.get_subcommand("log");
  add(*log, make_log_verify());
  add(*log, make_log_rebuild());
  add(app_, make_invoke());
  CLI::App* cap = app_.add_subcommand("cap", "Create, pass on, revoke and list send rights (capabilities), and tokens for them.");
  cap->require_subcommand(1);
  cap->fallthrough();
  add(*cap, make_cap_create());
  add(*cap, make_cap_derive());
  add(*cap, make_cap_revoke());
  add(*cap, make_cap_ls());
  add(*cap, make_cap_grant());
  add(*cap, make_cap_attenuate());
  add(*cap, make_cap_redeem());
  add(*cap, make_cap_verify());
  add(app_, make_id());
  add(app_, make_stat());
  add(app_, make_completion());
  add(app_, make_man());
}

void CommandLine::add(CLI::App& parent, std::unique_ptr<Command> command) {
  CLI::App* own = command->declare(Subcommand(&parent)).app();
  own->fallthrough();
  lines_.push_back({std::move(command), own});
}

Command* CommandLine::chosen() const {
  // A command below another one comes behind it.
  for (auto line = lines_.rbegin(); line != lines_.rend(); ++line)
    if (line->app->parsed()) return line->command.get();
  return nullptr;
}

}  // namespace pgrid::tools
