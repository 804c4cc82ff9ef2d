// pgrid.1, written from the command line's own definitions.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace pgrid::tools::usage {

/// roff with the man macros (man-pages(7)): every command and option with its help, examples, exit statuses.
[[nodiscard]] std::string man_page(const CLI::App& root, const std::string& version);

}  // namespace pgrid::tools::usage
