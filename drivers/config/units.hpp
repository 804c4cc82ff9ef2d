// Sizes and durations as people write them, in node.toml and on the command line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "drivers/base/result.hpp"

namespace pgrid::config {

/// "4MiB", "64KiB", "1GiB", "512B" or "512": bytes. Whole numbers only; MB is refused because it means two things.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);

/// "250us", "1ms", "2s", "5m", "1h": microseconds. The unit is required; a bare 0 needs none.
[[nodiscard]] Result<std::uint64_t> parse_duration_us(std::string_view text);

/// The shortest exact way to write it: "4MiB", "1000B"; "1ms", "90s". What the parsers above read back.
[[nodiscard]] std::string size_text(std::uint64_t bytes);
[[nodiscard]] std::string duration_text(std::uint64_t us);

}  // namespace pgrid::config
