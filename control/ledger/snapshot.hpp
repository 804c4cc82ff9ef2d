// What the log comes to at one of its records, in a file of its own, so that a start reads the log from there
// only. A snapshot can always be made again: one that is missing or damaged costs time, nothing else.
//
// A 72-byte header, then the payload (little-endian):
//   0   magic     u64   "PGSNAP01"
//   8   length    u64   bytes of payload
//   16  sequence  u64   of the record
//   24  time      u64   Unix nanoseconds
//   32  hash      32    of the record
//   64  check     u64   XXH3 of the payload, seeded with XXH3 of the header up to here
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "control/ledger/record.hpp"
#include "drivers/base/result.hpp"

namespace pgrid::control {

struct Snapshot {
  LogPoint point;
  Bytes payload;
};

/// The newest one of a directory that is whole; nothing when there is none. `damaged` gets a sentence for
/// each that is not.
[[nodiscard]] std::optional<Snapshot> newest_snapshot(const std::filesystem::path& directory,
                                                      std::vector<std::string>& damaged);

/// Written wholly or not at all. The two newest are kept.
[[nodiscard]] Result<void> write_snapshot(const std::filesystem::path& directory, const LogPoint& point,
                                          std::span<const std::uint8_t> payload);

}  // namespace pgrid::control
