// pgrid: everything a person does with a node.
#include <cstdlib>
#include <iostream>

#include "tools/pgrid/command_line.hpp"
#include "tools/pgrid/usage/complete.hpp"
#include "tools/pgrid/usage/errors.hpp"

namespace pgrid::tools {
namespace {

int run(int argc, char** argv) {
  CommandLine line;
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (!words.empty() && words.front() == usage::kCompleteCommand) {
    usage::print(usage::complete(line.app(), std::span(words).subspan(1), usage::ask_node), std::cout);
    return static_cast<int>(ExitCode::ok);
  }
  bool json = false;
  try {
    line.app().parse(argc, argv);
    json = line.json();
  } catch (const CLI::Success& wanted) {  // --help, --version
    return line.app().exit(wanted);
  } catch (const CLI::ParseError& error) {
    // What was parsed before the error may not hold --json yet.
    for (const std::string& word : words) json = json || word == "--json";
    return static_cast<int>(
        Printer(std::cout, std::cerr, json).report(ExitCode::usage, usage::usage_error(line.app(), words, error)));
  }
  const std::filesystem::path run_dir = line.node().empty() ? "/run/pgrid" : line.node();
  Context context{line.node(), run_dir, Printer(std::cout, std::cerr, json), ApiClient(run_dir / "control.sock")};
  Command* command = line.chosen();
  return static_cast<int>(command == nullptr ? ExitCode::usage : command->run(context));
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
