#include "tools/pgrid/usage/tree.hpp"

#include <algorithm>

namespace pgrid::tools::usage {
namespace {

bool is_shown(const CLI::Option& option) { return !option.get_group().empty(); }

template <typename Keep>
std::vector<const CLI::Option*> some_options(const CLI::App& app, Keep keep) {
  std::vector<const CLI::Option*> found;
  for (const CLI::Option* option : app.get_options())
    if (is_shown(*option) && keep(*option)) found.push_back(option);
  return found;
}

/// "UINT:NONNEGATIVE", "TEXT:{c,rust}": what CLI11 makes of a type and its checks.
std::string raw_type(const CLI::Option& option) { return option.get_type_name(); }

}  // namespace

std::string path_of(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name() : path_of(*app.get_parent()) + ' ' + app.get_name();
}

bool needs_command(const CLI::App& app) { return app.get_require_subcommand_min() > 0; }

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* one) { return !one->get_group().empty(); });
}

std::vector<const CLI::Option*> options_of(const CLI::App& app) {
  return some_options(app, [](const CLI::Option& option) { return option.nonpositional(); });
}

std::vector<const CLI::Option*> positionals_of(const CLI::App& app) {
  return some_options(app, [](const CLI::Option& option) { return option.get_positional(); });
}

std::vector<std::string> names_of(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back('-' + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  return names;
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

std::vector<std::string> choices_of(const CLI::Option& option) {
  const std::string type = raw_type(option);
  const std::size_t open = type.find('{');
  const std::size_t close = type.find('}', open == std::string::npos ? 0 : open);
  std::vector<std::string> choices;
  if (open == std::string::npos || close == std::string::npos) return choices;
  for (const std::string& word : CLI::detail::split(type.substr(open + 1, close - open - 1), ','))
    choices.push_back(word);
  return choices;
}

std::string value_word(const CLI::Option& option) {
  if (!takes_value(option)) return "";
  std::string words;
  for (const std::string& choice : choices_of(option)) words += (words.empty() ? "" : "|") + choice;
  if (!words.empty()) return words;
  const std::string type = raw_type(option).substr(0, raw_type(option).find(':'));
  return type == "UINT" || type == "INT" ? "N" : type;
}

const CLI::Option* find_option(const CLI::App& app, std::string_view word) {
  const std::string_view name = word.substr(0, word.find('='));
  for (const CLI::App* one = &app; one != nullptr; one = one->get_parent())
    for (const CLI::Option* option : options_of(*one))
      for (const std::string& known : names_of(*option))
        if (known == name) return option;
  return nullptr;
}

Place place_of(const CLI::App& root, std::span<const std::string> words) {
  Place place{.app = &root};
  bool only_positionals = false;  // behind "--"
  for (const std::string& word : words) {
    if (place.wants != nullptr) {
      if (word == "=") continue;  // bash takes --node=DIR apart
      if (place.wants->check_lname("node")) place.node = word;
      place.wants = nullptr;
    } else if (word == "--") {
      only_positionals = true;
    } else if (!only_positionals && word.size() > 1 && word.front() == '-') {
      const CLI::Option* option = find_option(*place.app, word);
      if (option == nullptr) {
        if (place.unknown.empty()) place.unknown = word;
        continue;
      }
      place.given.insert(option);
      const std::size_t equals = word.find('=');
      if (equals == std::string::npos)
        place.wants = takes_value(*option) ? option : nullptr;
      else if (option->check_lname("node"))
        place.node = word.substr(equals + 1);
    } else {
      const auto commands = commands_of(*place.app);
      const auto command = std::find_if(commands.begin(), commands.end(),
                                        [&](const CLI::App* one) { return one->get_name() == word; });
      if (command != commands.end() && place.stray.empty()) {
        place.app = *command;
      } else if (!commands.empty() && positionals_of(*place.app).empty()) {
        if (place.stray.empty()) place.stray = word;
      } else {
        ++place.positionals;
      }
    }
  }
  return place;
}

}  // namespace pgrid::tools::usage
