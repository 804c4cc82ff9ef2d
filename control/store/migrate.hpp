// From the journal that versions before the log wrote to a log, once.
#pragma once

#include <filesystem>
#include <string>

#include "drivers/base/result.hpp"

namespace pgrid::control {

/// When the state directory has a journal and no log: writes what the journal comes to as the first records
/// of a log, which is there wholly or not at all, and keeps the journal under another name. A sentence about
/// it, empty when there was nothing to do.
[[nodiscard]] Result<std::string> migrate_journal(const std::filesystem::path& state_directory);

}  // namespace pgrid::control
