// An append-only file of checksummed records. What `append` acknowledged is on disk.
//
// A record is a 24-byte header, then the payload (little-endian):
//   0   magic     u32   "PGJ1"
//   4   length    u32   bytes of payload, 1 to kJournalPayloadMax
//   8   sequence  u64   one more than that of the record before
//   16  check     u64   XXH3 of the payload, seeded with XXH3 of the first 16 bytes
//
// Recovery reads to the first record that is not whole. When nothing whole follows, that is the torn end of a
// write that was never acknowledged, and it is cut off. When a whole record follows, the disk has changed
// bytes that were acknowledged: the journal is refused, because going on would silently forget rights that
// people hold.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "control/store/files.hpp"
#include "drivers/base/result.hpp"
#include "drivers/base/unique_fd.hpp"

namespace pgrid::control {

inline constexpr std::uint32_t kJournalHeader = 24;  // bytes
inline constexpr std::uint32_t kJournalPayloadMax =
    32u << 20;  // bytes; 2^20 rights dropped at once, 30 bytes each
inline constexpr std::uint64_t kJournalSizeMax = 1ull
                                                 << 32;  // bytes; 2^20 rights at 256 bytes, 16 times over

/// Owned by one thread. Move-only.
class Journal {
 public:
  /// Called for each record at recovery, in order.
  using Visit = std::function<Result<void>(std::span<const std::uint8_t> payload)>;

  /// Opens the journal, or makes an empty one.
  [[nodiscard]] static Result<Journal> open(const std::filesystem::path& path, const Visit& visit);

  /// Durable when it returns. After a failure nothing was added; after a failed flush to disk, where nobody
  /// can know what is on it, `must_rewrite` holds and every append is refused until `rewrite` succeeds.
  [[nodiscard]] Result<void> append(std::span<const std::uint8_t> payload);

  /// Replaces everything by these records, wholly or not at all.
  [[nodiscard]] Result<void> rewrite(std::span<const Bytes> payloads);

  [[nodiscard]] bool must_rewrite() const { return must_rewrite_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint64_t torn_bytes() const { return torn_bytes_; }  // cut off when it was opened

 private:
  explicit Journal(std::filesystem::path path) : path_(std::move(path)) {}

  std::filesystem::path path_;
  UniqueFd fd_;
  std::uint64_t size_ = 0;
  std::uint64_t sequence_ = 0;  // of the last record
  std::uint64_t torn_bytes_ = 0;
  bool must_rewrite_ = false;
};

}  // namespace pgrid::control
