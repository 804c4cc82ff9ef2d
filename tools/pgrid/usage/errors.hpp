// What is wrong with arguments, in a sentence that says what to write instead.
#pragma once

#include <CLI/CLI.hpp>
#include <span>
#include <string>

#include "drivers/base/result.hpp"

namespace pgrid::tools::usage {

/// `error` is what parsing `words` (those behind `pgrid`) threw.
[[nodiscard]] Error usage_error(const CLI::App& root, std::span<const std::string> words,
                                const CLI::ParseError& error);

}  // namespace pgrid::tools::usage
