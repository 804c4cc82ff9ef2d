#include "tools/pgrid/usage/errors.hpp"

#include <algorithm>
#include <numeric>
#include <optional>

#include "tools/pgrid/usage/tree.hpp"

namespace pgrid::tools::usage {
namespace {

/// How many letters must change to make one word of another (Levenshtein 1966).
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
    }
  }
  return row.back();
}

/// The word that was perhaps meant: at most a third of it differs.
std::optional<std::string> nearest(const std::string& word, const std::vector<std::string>& known) {
  std::optional<std::string> best;
  std::size_t least = word.size() / 3 + 1;
  for (const std::string& one : known)
    if (const std::size_t d = distance(word, one); d < least || (d == least && !best && d < one.size())) {
      least = d;
      best = one;
    }
  return best;
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* one : commands_of(app)) names.push_back(one->get_name());
  return names;
}

std::string listed(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

Error wrong(std::string what, std::string cause, std::string remedy) {
  return {Errc::invalid_argument, std::move(what), std::move(cause), std::move(remedy)};
}

/// What a sentence calls a command: its words behind `pgrid`.
std::string name_of(const CLI::App& app) {
  return app.get_parent() == nullptr ? "pgrid" : path_of(app).substr(path_of(app).find(' ') + 1);
}

/// `see` says where more is written; it ends every remedy.
Error no_command(const Place& place, const std::string& see) {
  const std::vector<std::string> known = command_names(*place.app);
  if (place.stray.empty())
    return wrong(name_of(*place.app) + " needs a command", "", "there are: " + listed(known) + "; " + see);
  const auto meant = nearest(place.stray, known);
  return wrong('"' + place.stray + "\" is no command of " + name_of(*place.app), "",
               (meant ? "did you mean " + *meant + '?' : "there are: " + listed(known)) + "; " + see);
}

Error no_option(const Place& place, const std::string& see) {
  std::vector<std::string> known;
  for (const CLI::App* one = place.app; one != nullptr; one = one->get_parent())
    for (const CLI::Option* option : options_of(*one))
      for (std::string& name : names_of(*option)) known.push_back(std::move(name));
  const auto meant = nearest(place.unknown.substr(0, place.unknown.find('=')), known);
  return wrong('"' + place.unknown + "\" is no option of " + name_of(*place.app), "",
               (meant ? "did you mean " + *meant + "? " : "") + see);
}

Error too_many(const Place& place, const std::string& see) {
  const std::size_t room = positionals_of(*place.app).size();
  const std::string takes =
      room == 0 ? "no argument" : std::to_string(room) + (room == 1 ? " argument" : " arguments");
  return wrong(name_of(*place.app) + " takes " + takes + ", and got " + std::to_string(place.positionals), "",
               (room == 0 ? "" : "put text with blanks between quotes; ") + see);
}

bool is(const CLI::ParseError& error, CLI::ExitCodes code) {
  return error.get_exit_code() == static_cast<int>(code);
}

}  // namespace

Error usage_error(const CLI::App& root, std::span<const std::string> words, const CLI::ParseError& error) {
  const Place place = place_of(root, words);
  const std::string see = "see `" + path_of(*place.app) + " --help`";
  const std::string what = error.what();
  if (!place.unknown.empty()) return no_option(place, see);
  if (needs_command(*place.app) || !place.stray.empty()) return no_command(place, see);
  if (is(error, CLI::ExitCodes::ExtrasError)) return too_many(place, see);
  if (is(error, CLI::ExitCodes::RequiredError))
    for (const CLI::Option* one : positionals_of(*place.app))
      if (what.starts_with(one->get_name(true) + ' '))
        return wrong(name_of(*place.app) + " needs " + one->get_name(true), one->get_description(), see);
  if (is(error, CLI::ExitCodes::ArgumentMismatch) && place.wants != nullptr)
    return wrong(names_of(*place.wants).back() + " needs a value, " + value_word(*place.wants),
                 place.wants->get_description(), see);
  if (is(error, CLI::ExitCodes::ValidationError)) {
    std::vector<const CLI::Option*> given(place.given.begin(), place.given.end());
    for (const CLI::Option* one : positionals_of(*place.app)) given.push_back(one);
    for (const CLI::Option* option : given) {
      const std::string name = option->nonpositional() ? names_of(*option).back() : option->get_name(true);
      if (!choices_of(*option).empty() && what.starts_with(name + ':'))
        return wrong(name + " is one of " + listed(choices_of(*option)), "", see);
    }
  }
  return wrong(what, "", see);
}

}  // namespace pgrid::tools::usage
