// The few file operations that durable state is made of. All errors are sentences; nothing throws.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "drivers/base/result.hpp"
#include "drivers/base/unique_fd.hpp"

namespace pgrid::control {

using Bytes = std::vector<std::uint8_t>;

/// Creates the directory (mode 0700) with its parents, or tightens one that exists.
[[nodiscard]] Result<void> make_private_directory(const std::filesystem::path& path);

[[nodiscard]] Result<void> write_all(int fd, std::span<const std::uint8_t> bytes);

/// All of a file of at most `size_max` bytes. not_found when there is none.
[[nodiscard]] Result<Bytes> read_file(const std::filesystem::path& path, std::uint64_t size_max);

/// Makes the names in a directory durable.
[[nodiscard]] Result<void> sync_directory(const std::filesystem::path& path);

/// Puts `bytes` under `path` (mode 0600), wholly or not at all: another name, fsync, rename, fsync of the
/// directory. Gives the open file, for appending.
[[nodiscard]] Result<UniqueFd> replace_file(const std::filesystem::path& path,
                                            std::span<const std::uint8_t> bytes);

/// Takes PATH's lock for as long as the descriptor is open. busy when another process has it.
[[nodiscard]] Result<UniqueFd> lock_file(const std::filesystem::path& path);

}  // namespace pgrid::control
