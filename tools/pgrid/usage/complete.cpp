#include "tools/pgrid/usage/complete.hpp"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <ostream>

#include "tools/pgrid/command.hpp"
#include "tools/pgrid/usage/tree.hpp"

namespace pgrid::tools::usage {
namespace {

constexpr std::chrono::milliseconds kPatience{1000};  // a person waits at the keyboard

/// The first line of a text, without the period at its end: shells show it beside the word.
std::string brief(const std::string& text) {
  std::string line = text.substr(0, text.find('\n'));
  while (line.ends_with('.')) line.pop_back();
  std::replace(line.begin(), line.end(), '\t', ' ');
  return line;
}

void add_values(const CLI::Option& option, const std::string& node, const Ask& ask, Candidates& found) {
  for (const std::string& choice : choices_of(option)) found.words.push_back({choice, ""});
  const std::string kind =
      option.get_positional() && value_word(option) == "TEXT" ? option.get_name(true) : value_word(option);
  if (kind == "FILE" || kind == "DIR")
    found.files = true;
  else
    for (Candidate& one : ask(kind, node)) found.words.push_back(std::move(one));
}

void add_options(const CLI::App& app, const std::set<const CLI::Option*>& given, Candidates& found) {
  for (const CLI::App* one = &app; one != nullptr; one = one->get_parent())
    for (const CLI::Option* option : options_of(*one)) {
      const bool own_only = option == one->get_help_ptr() || option->check_lname("version");
      const bool again = option->get_expected_max() > 1;
      if ((own_only && one != &app) || (given.contains(option) && !again)) continue;
      for (const std::string& name : names_of(*option))
        found.words.push_back({name, brief(option->get_description())});
    }
}

}  // namespace

Candidates complete(const CLI::App& root, std::span<const std::string> words, const Ask& ask) {
  Candidates found;
  std::string begun = words.empty() ? "" : words.back();
  const Place place = place_of(root, words.first(words.empty() ? 0 : words.size() - 1));
  if (!place.stray.empty()) return found;
  const std::size_t equals = begun.find('=');
  const CLI::Option* assigned =
      begun.starts_with("--") && equals != std::string::npos ? find_option(*place.app, begun) : nullptr;
  std::string before;  // what of the word at the cursor stays in front of a value
  if (place.wants != nullptr) {
    if (begun == "=") begun.clear();
    add_values(*place.wants, place.node, ask, found);
  } else if (assigned != nullptr) {
    before = begun.substr(0, equals + 1);
    add_values(*assigned, place.node, ask, found);
    found.files = false;  // file names would have to begin behind the '='
  } else if (begun.starts_with('-')) {
    add_options(*place.app, place.given, found);
  } else {
    for (const CLI::App* command : commands_of(*place.app))
      found.words.push_back({command->get_name(), brief(command->get_description())});
    const auto positionals = positionals_of(*place.app);
    if (place.positionals < positionals.size())
      add_values(*positionals[place.positionals], place.node, ask, found);
  }
  for (Candidate& one : found.words) one.word.insert(0, before);
  std::erase_if(found.words, [&](const Candidate& one) { return !one.word.starts_with(begun); });
  return found;
}

void print(const Candidates& candidates, std::ostream& out) {
  for (const Candidate& one : candidates.words) out << one.word << '\t' << one.about << '\n';
  if (candidates.files) out << ":files\n";
}

std::vector<Candidate> ask_node(const std::string& kind, const std::string& node) {
  std::filesystem::path directory = node;
  if (const char* given = std::getenv("PGRID_NODE"); directory.empty())
    directory = given != nullptr ? given : "/run/pgrid";
  if (const char* home = std::getenv("HOME"); node.starts_with("~/") && home != nullptr)
    directory = home + node.substr(1);
  const ApiClient api(directory / "control.sock");
  std::vector<Candidate> found;
  if (kind == "PROCESS" || kind == "TARGET") {
    const auto answer = api.call({.path = "/v1/processes", .patience = kPatience});
    if (!answer) return found;
    for (const auto& process : answer->value("processes", nlohmann::json::array()))
      found.push_back({text_of(process, "name", ""), text_of(process, "state", "")});
  } else if (kind == kRightWord) {
    const auto answer = api.call({.path = "/v1/rights", .patience = kPatience});
    if (!answer) return found;
    for (const auto& right : answer->value("rights", nlohmann::json::array()))
      if (!right.value("internal", false)) {
        const std::string about = "to " + text_of(right, "process", "");
        found.push_back({text_of(right, "slot") + '.' + text_of(right, "generation"), about});
        if (!right.contains("holder") && right.contains("name"))
          found.push_back({text_of(right, "name", ""), about});
      }
  }
  // What a node says is no more than a word here: nothing that could be a command to the terminal.
  std::erase_if(found, [](const Candidate& one) {
    const auto plain = [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; };
    return one.word.empty() || !std::all_of(one.word.begin(), one.word.end(), plain) ||
           !std::all_of(one.about.begin(), one.about.end(), plain);
  });
  return found;
}

}  // namespace pgrid::tools::usage
