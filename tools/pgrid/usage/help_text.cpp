#include "tools/pgrid/usage/help_text.hpp"

#include "tools/pgrid/usage/tree.hpp"

namespace pgrid::tools::usage {
namespace {

constexpr std::size_t kColumn = 26;  // where descriptions begin

std::string without_newlines_around(const std::string& text) {
  const std::size_t first = text.find_first_not_of('\n');
  const std::size_t last = text.find_last_not_of('\n');
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

}  // namespace

HelpText::HelpText() { column_width(kColumn); }

std::string HelpText::make_description(const CLI::App* app) const {
  return without_newlines_around(app->get_description()) + "\n\n";
}

std::string HelpText::make_footer(const CLI::App* app) const {
  const std::string footer = without_newlines_around(app->get_footer());
  return footer.empty() ? "" : '\n' + footer + '\n';
}

std::string HelpText::make_option_opts(const CLI::Option* option) const {
  if (option->get_positional()) return "";
  std::string text = value_word(*option);
  if (!text.empty()) text.insert(0, " ");
  if (!option->get_default_str().empty()) text += " (default: " + option->get_default_str() + ')';
  if (!option->get_envname().empty()) text += " (or $" + option->get_envname() + ')';
  for (const CLI::Option* other : option->get_needs()) text += " (with " + other->get_name() + ')';
  for (const CLI::Option* other : option->get_excludes()) text += " (not with " + other->get_name() + ')';
  return text;
}

}  // namespace pgrid::tools::usage
