// One record of the log: what was committed at once, and what ties it to everything before.
//
// A 72-byte header, then the payload (little-endian):
//   0   magic     u32   "PGL1"
//   4   length    u32   bytes of payload, 1 to kPayloadMax
//   8   sequence  u64   one more than that of the record before; the first is 1
//   16  durable   u64   the last sequence that was known to be on disk when this one was made
//   24  time      u64   Unix nanoseconds
//   32  before    32    SHA-256 of the record before, header and payload; zeros in the first
//   64  check     u64   XXH3 of the payload, seeded with XXH3 of the header up to here
//
// The check tells a whole record from a torn one by itself; the hash makes the records one chain, in which
// nothing can be changed without changing everything after it. `durable` tells damage from a write that was
// interrupted: records of one write may reach the disk in any order, and none of them says of another that it
// was on disk.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "drivers/hash/sha256.hpp"

namespace pgrid::control {

using Bytes = std::vector<std::uint8_t>;
using LogHash = hash::Sha256Digest;

inline constexpr std::size_t kLogHeader = 72;  // bytes
inline constexpr std::uint32_t kPayloadMax =
    32u << 20;  // bytes; 2^20 rights dropped at once, at most 10 bytes each, 3 times over

/// A place in the log: everything up to and with the record `sequence`, whose hash this is.
struct LogPoint {
  std::uint64_t sequence = 0;  // 0: before the first
  LogHash hash{};
  bool operator==(const LogPoint&) const = default;
};

struct LogRecord {
  std::uint64_t sequence = 0;
  std::uint64_t durable = 0;
  std::uint64_t time_unix_ns = 0;
  LogHash before{};
  std::span<const std::uint8_t> payload;  // borrowed
  [[nodiscard]] std::size_t size() const { return kLogHeader + payload.size(); }
};

/// Writes a record behind `out`. REQUIRES: a payload of 1 to kPayloadMax bytes.
void add_record(Bytes& out, const LogRecord& record);

/// The record at the front of `bytes`, when it is whole; else nothing. It borrows.
[[nodiscard]] std::optional<LogRecord> whole_record(std::span<const std::uint8_t> bytes);

/// How many bytes the record at the front of `bytes` has, as its header says; nothing when that cannot be a
/// header. REQUIRES: kLogHeader bytes.
[[nodiscard]] std::optional<std::size_t> record_size(std::span<const std::uint8_t> bytes);

}  // namespace pgrid::control
