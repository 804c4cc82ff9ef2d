// The state as a fold over the log: the newest snapshot, then every record behind it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "control/ledger/recover.hpp"
#include "control/store/state.hpp"
#include "drivers/base/result.hpp"

namespace pgrid::control {

/// Where the log is in a state directory.
[[nodiscard]] std::filesystem::path log_directory(const std::filesystem::path& state_directory);

struct Folded {
  State state;
  LogEnd end;
  std::uint64_t replayed = 0;  // records that were read
};

/// The whole log of a directory. `remarks` gets a sentence for each snapshot that was damaged and passed
/// over.
[[nodiscard]] Result<Folded> fold_log(const std::filesystem::path& log, std::vector<std::string>& remarks);

/// What the newest snapshot says, or nothing; and the point that it stands for.
[[nodiscard]] Result<Folded> fold_snapshot(const std::filesystem::path& log,
                                           std::vector<std::string>& remarks);

/// Writes a snapshot of the log as it was at the record `until`, which is durable.
[[nodiscard]] Result<void> make_snapshot(const std::filesystem::path& log, std::uint64_t until);

}  // namespace pgrid::control
