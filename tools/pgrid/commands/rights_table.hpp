// Rights and counts as people see them: shared by inspect and cap.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "tools/pgrid/printer.hpp"

namespace pgrid::tools {

/// "kept 5, broken 0, declined 0, no answer 0, refused 0".
[[nodiscard]] std::string counts_text(const nlohmann::json& counts);

/// One row per right; with `secrets` their URIs. As a tree, what was derived stands below, further in.
[[nodiscard]] Table rights_table(const nlohmann::json& rights, bool secrets, bool tree = false);

}  // namespace pgrid::tools
