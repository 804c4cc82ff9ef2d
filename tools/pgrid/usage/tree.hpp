// The command line as a tree to look at: its commands, their options, and where a list of words leads in it.
// Help, man page, completion and the sentences about wrong arguments are made from this.
#pragma once

#include <CLI/CLI.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pgrid::tools::usage {

/// "pgrid cap create".
[[nodiscard]] std::string path_of(const CLI::App& app);

/// Whether one of its commands must follow, as behind `pgrid cap`; behind `pgrid log` one may.
[[nodiscard]] bool needs_command(const CLI::App& app);

/// Those that help shows, in its order.
[[nodiscard]] std::vector<const CLI::App*> commands_of(const CLI::App& app);
[[nodiscard]] std::vector<const CLI::Option*> options_of(const CLI::App& app);  // its own, not its parents'
[[nodiscard]] std::vector<const CLI::Option*> positionals_of(const CLI::App& app);

/// "-f", "--follow": every way to write an option.
[[nodiscard]] std::vector<std::string> names_of(const CLI::Option& option);
[[nodiscard]] bool takes_value(const CLI::Option& option);
/// What stands for the value in help: "PROCESS", "N", "c|rust"; "" of a flag.
[[nodiscard]] std::string value_word(const CLI::Option& option);
/// The words that an option accepts, when they are listed.
[[nodiscard]] std::vector<std::string> choices_of(const CLI::Option& option);

/// An option of `app` or of a parent, written as `word` ("--name", "--name=x", "-f"); null: there is none.
[[nodiscard]] const CLI::Option* find_option(const CLI::App& app, std::string_view word);

/// Where words lead.
struct Place {
  const CLI::App* app = nullptr;       // the deepest command that they name
  const CLI::Option* wants = nullptr;  // the option whose value comes next
  std::set<const CLI::Option*> given;  // options among the words
  std::size_t positionals = 0;         // words that are values of positionals of `app`
  std::string stray;                   // the first word that should have been a command and is not
  std::string unknown;                 // the first option that there is not
  std::string node;                    // the value of --node
};
[[nodiscard]] Place place_of(const CLI::App& root, std::span<const std::string> words);

}  // namespace pgrid::tools::usage
