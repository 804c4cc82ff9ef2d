// How --help is laid out: a command's sentence, its usage, its options with what their values are.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace pgrid::tools::usage {

class HelpText : public CLI::Formatter {
 public:
  HelpText();
  std::string make_description(const CLI::App* app) const override;
  std::string make_footer(const CLI::App* app) const override;
  /// "PROCESS", "c|rust (default: c)" and what an option goes with; what positionals are their help tells.
  std::string make_option_opts(const CLI::Option* option) const override;
};

}  // namespace pgrid::tools::usage
