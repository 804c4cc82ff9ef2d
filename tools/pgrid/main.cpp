// pgrid: everything a person does with a node.
#include <cstdlib>
#include <iostream>

#include "tools/pgrid/command.hpp"

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

A node is named by its directory: --node DIR, else $PGRID_NODE, else /run/pgrid.
With --json every command writes JSON to stdout, and errors to stderr as {"error": {"code": ..., "message": ...}}.

Exit status:
  0  done
  1  the node refused, or the answer was a non-commitment
  2  wrong arguments or configuration; nothing was done
  3  no node is running there
  4  timed out: asked, and heard nothing)";

/// The commands, with groups ("cap") as commands of their own.
struct Line {
  std::unique_ptr<Command> command;
  CLI::App* app;
};

int run(int argc, char** argv) {
  CLI::App app(kAbout, "pgrid");
  app.footer(kFooter);
  app.require_subcommand(1);
  app.fallthrough();
  std::string node;
  bool json = false;
  app.add_option("--node", node, "directory of the node")->envname("PGRID_NODE")->type_name("DIR");
  app.add_flag("--json", json, "write JSON for programs");
  app.set_version_flag("--version", std::string("pgrid ") + PGRID_VERSION);

  std::vector<Line> lines;
  const auto add = [&lines](CLI::App& parent, std::unique_ptr<Command> command) {
    CLI::App* own = command->declare(parent);
    own->fallthrough();
    lines.push_back({std::move(command), own});
  };
  add(app, make_up());
  add(app, make_doctor());
  add(app, make_new());
  add(app, make_deploy());
  add(app, make_ls());
  add(app, make_inspect());
  add(app, make_rm());
  add(app, make_logs());
  add(app, make_invoke());
  CLI::App* cap = app.add_subcommand("cap", "Create, revoke and list send rights (capabilities).");
  cap->require_subcommand(1);
  cap->fallthrough();
  add(*cap, make_cap_create());
  add(*cap, make_cap_revoke());
  add(*cap, make_cap_ls());
  add(app, make_stat());

  const auto printer_now = [&] { return Printer(std::cout, std::cerr, json); };
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& wanted) {  // --help, --version
    return app.exit(wanted);
  } catch (const CLI::ParseError& error) {
    // What was parsed before the error may not hold --json yet.
    for (int i = 1; i < argc; ++i) json = json || std::string_view(argv[i]) == "--json";
    return static_cast<int>(printer_now().report(
        ExitCode::usage, Error{Errc::invalid_argument, error.what(), "", "see `pgrid --help` or `pgrid COMMAND --help`"}));
  }
  const std::filesystem::path run_dir = node.empty() ? "/run/pgrid" : node;
  Context context{node, run_dir, printer_now(), ApiClient(run_dir / "control.sock")};
  for (const Line& line : lines)
    if (line.app->parsed()) return static_cast<int>(line.command->run(context));
  return static_cast<int>(ExitCode::usage);
}

}  // namespace
}  // namespace pgrid::tools

int main(int argc, char** argv) {
  try {
    return pgrid::tools::run(argc, argv);
  } catch (const std::exception& failure) {  // the standard library or a foreign one; ours does not throw
    std::cerr << "pgrid: internal error: " << failure.what() << std::endl;
    return 1;
  }
}
