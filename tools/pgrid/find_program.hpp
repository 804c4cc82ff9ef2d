// Where the node's other programs are.
#pragma once

#include <filesystem>
#include <string>

#include "drivers/base/result.hpp"

namespace pgrid::tools {

/// "pgrid-worker": in $PGRID_LIBEXEC when that is set and has it, beside this program, in libexec/pgrid
/// next to its bin, where the build puts it, or in $PATH; the first that can be run.
[[nodiscard]] Result<std::filesystem::path> find_program(const std::string& name);

}  // namespace pgrid::tools
