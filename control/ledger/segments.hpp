// The files of the log. Each is named after the sequence of its first record; the next file's name says where
// it ends.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "drivers/base/result.hpp"

namespace pgrid::control {

/// A file grows to about so much: what is read again at start when its first records are in a snapshot.
inline constexpr std::uint64_t kSegmentBytes = 64u << 20;

struct Segment {
  std::uint64_t first = 0;  // sequence
  std::filesystem::path path;
};

[[nodiscard]] std::filesystem::path segment_path(const std::filesystem::path& directory, std::uint64_t first);

/// Those of a directory, rising. Files of other names are passed over.
[[nodiscard]] Result<std::vector<Segment>> list_segments(const std::filesystem::path& directory);

/// "00000000000000000042.log", or of another ending: the number; nothing for other names.
[[nodiscard]] std::optional<std::uint64_t> numbered_name(const std::filesystem::path& path,
                                                         std::string_view ending);
[[nodiscard]] std::string numbered_name(std::uint64_t number, std::string_view ending);

}  // namespace pgrid::control
