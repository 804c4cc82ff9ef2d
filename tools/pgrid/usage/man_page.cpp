#include "tools/pgrid/usage/man_page.hpp"

#include <algorithm>

#include "tools/pgrid/usage/tree.hpp"

namespace pgrid::tools::usage {
namespace {

/// Text that roff takes as it is: no command at the start of a line, no escape, hyphens that can be copied.
std::string escaped(const std::string& text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    line_begins = c == '\n';
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
  }
  return out;
}

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of('\n');
  const std::size_t last = text.find_last_not_of('\n');
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

/// Lines as they are: examples.
std::string verbatim(const std::string& text) { return ".PP\n.nf\n" + escaped(trimmed(text)) + "\n.fi\n"; }

std::string option_text(const CLI::Option& option) {
  std::string names;
  for (const std::string& name : names_of(option)) names += (names.empty() ? "" : ", ") + name;
  if (names.empty()) names = option.get_name(true);
  const std::string value = option.nonpositional() ? value_word(option) : "";
  return ".TP\n\\fB" + escaped(names) + "\\fR" + (value.empty() ? "" : " \\fI" + escaped(value) + "\\fR") +
         '\n' + escaped(option.get_description()) + '\n';
}

std::string synopsis(const CLI::App& app) {
  std::string text = path_of(app) + " [OPTIONS]";
  for (const CLI::Option* one : positionals_of(app))
    text += one->get_required() ? ' ' + one->get_name(true) : " [" + one->get_name(true) + ']';
  return text;
}

void add_command(const CLI::App& app, std::string& page) {
  if (!needs_command(app)) {
    page += ".SS \"" + escaped(synopsis(app)) + "\"\n" + escaped(app.get_description()) + '\n';
    for (const CLI::Option* option : positionals_of(app)) page += option_text(*option);
    for (const CLI::Option* option : options_of(app))
      if (option != app.get_help_ptr()) page += option_text(*option);
    if (!trimmed(app.get_footer()).empty()) page += verbatim(app.get_footer());
  }
  for (const CLI::App* command : commands_of(app)) add_command(*command, page);
}

/// Paragraphs of the footer become sections: the first line, which ends with a colon, names each.
void add_sections(const std::string& footer, std::string& page) {
  std::string rest = trimmed(footer);
  while (!rest.empty()) {
    const std::size_t end = rest.find("\n\n");
    const std::string part = trimmed(rest.substr(0, end));
    rest = end == std::string::npos ? "" : trimmed(rest.substr(end));
    const std::size_t colon = part.find(":\n");
    std::string title = part.substr(0, colon);
    std::transform(title.begin(), title.end(), title.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    page += ".SH \"" + escaped(title) + "\"\n" +
            verbatim(colon == std::string::npos ? part : part.substr(colon + 2));
  }
}

}  // namespace

std::string man_page(const CLI::App& root, const std::string& version) {
  std::string page =
      ".\\\" Printed by `pgrid man`.\n.TH PGRID 1 \"\" \"" + escaped(version) + "\" \"PromiseGrid\"\n";
  page +=
      ".SH NAME\npgrid \\- run a PromiseGrid node, deploy functions on it, call them, grant and revoke "
      "rights\n";
  page +=
      ".SH SYNOPSIS\n\\fBpgrid\\fR [\\fB\\-\\-node\\fR \\fIDIR\\fR] [\\fB\\-\\-json\\fR] \\fICOMMAND\\fR "
      "[\\fIARGUMENT\\fR...]\n";
  page += ".SH DESCRIPTION\n" + escaped(trimmed(root.get_description())) + '\n';
  page += ".SH OPTIONS\nThese go before or behind every command.\n";
  for (const CLI::Option* option : options_of(root)) page += option_text(*option);
  page += ".SH COMMANDS\n";
  for (const CLI::App* command : commands_of(root)) add_command(*command, page);
  add_sections(root.get_footer(), page);
  page += ".SH ENVIRONMENT\n.TP\n\\fBPGRID_NODE\\fR\nThe node's directory, when \\-\\-node is not given.\n";
  page +=
      ".SH FILES\n.TP\n/run/pgrid\nSockets of the machine's own node.\n.TP\n/etc/pgrid/node.toml\nIts "
      "configuration.\n";
  return page;
}

}  // namespace pgrid::tools::usage
