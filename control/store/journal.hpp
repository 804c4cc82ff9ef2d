// The journal of versions before there was a log, to be read once more (migrate.hpp).
//
// A record is a 24-byte header, then the payload (little-endian):
//   0   magic     u32   "PGJ1"
//   4   length    u32   bytes of payload, 1 to kJournalPayloadMax
//   8   sequence  u64   one more than that of the record before
//   16  check     u64   XXH3 of the payload, seeded with XXH3 of the first 16 bytes
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>

#include "control/store/files.hpp"
#include "drivers/base/result.hpp"

namespace pgrid::control {

inline constexpr std::uint32_t kJournalHeader = 24;             // bytes
inline constexpr std::uint32_t kJournalPayloadMax = 32u << 20;  // bytes
inline constexpr std::uint64_t kJournalSizeMax = 1ull << 32;    // bytes

struct JournalEnd {
  std::uint64_t torn_bytes =
      0;  // behind the last whole record: the end of a write that was never acknowledged
};

/// Visits every record in order, up to the first that is not whole. corrupt when whole ones follow that.
[[nodiscard]] Result<JournalEnd> read_journal(
    const std::filesystem::path& path,
    const std::function<Result<void>(std::span<const std::uint8_t>)>& visit);

}  // namespace pgrid::control
