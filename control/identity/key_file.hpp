// A key on disk: the 32 bytes of an Ed25519 seed and nothing else, readable by its owner alone.
#pragma once

#include <filesystem>

#include "control/identity/signing_key.hpp"
#include "drivers/base/result.hpp"

namespace pgrid::identity {

/// The seed in a file. Refuses, with a sentence that says what to do: links, files that are not the caller's
/// or that others may read (any mode bit beyond 0600), other sizes. not_found when there is no file.
[[nodiscard]] Result<Seed> read_key_file(const std::filesystem::path& path);

/// A new random seed under `path` (mode 0600), on disk when this returns. already_exists: nothing was
/// changed.
[[nodiscard]] Result<Seed> make_key_file(const std::filesystem::path& path);

}  // namespace pgrid::identity
