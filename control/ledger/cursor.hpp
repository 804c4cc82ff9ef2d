// Reads the log's records in order, across its files, and checks each one as it goes: the check, the
// sequence, the chain.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "control/ledger/record.hpp"
#include "control/ledger/segments.hpp"
#include "drivers/base/result.hpp"
#include "drivers/base/unique_fd.hpp"

namespace pgrid::control {

/// Owned by one thread; reads beside whoever writes. Move-only.
class LogCursor {
 public:
  /// Behind the record `from`, whose hash must be that in the log.
  [[nodiscard]] static Result<LogCursor> open(const std::filesystem::path& directory, const LogPoint& from);

  /// The next record, borrowed until the next call. Nothing: no whole record follows here, and no file after
  /// this one says that one should. corrupt: what follows is not what was written.
  [[nodiscard]] Result<std::optional<LogRecord>> next();

  /// Sees what was written since. Call it before reading on behind a `next` that gave nothing.
  [[nodiscard]] Result<void> refresh();

  [[nodiscard]] const LogPoint& point() const { return point_; }
  /// The file that it stands in, and the byte behind the last record there. Null: there is no file yet.
  [[nodiscard]] const Segment* segment() const { return fd_ ? &segments_[at_] : nullptr; }
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  /// What is in the file behind the last record.
  [[nodiscard]] Result<Bytes> rest();

 private:
  LogCursor(std::filesystem::path directory, std::vector<Segment> segments)
      : directory_(std::move(directory)), segments_(std::move(segments)) {}
  [[nodiscard]] Result<void> enter(std::size_t segment);
  /// At least `size` bytes from `offset_` on, or as many as there are.
  [[nodiscard]] Result<std::span<const std::uint8_t>> look(std::size_t size);
  [[nodiscard]] bool has_following() const { return at_ + 1 < segments_.size(); }
  [[nodiscard]] std::unexpected<Error> damaged(const std::string& cause) const;

  std::filesystem::path directory_;
  std::vector<Segment> segments_;
  std::size_t at_ = 0;  // of segments_, when fd_ is open
  UniqueFd fd_;
  std::uint64_t offset_ = 0;
  Bytes buffer_;          // of the file
  std::size_t used_ = 0;  // bytes of it that lie before `offset_`
  LogPoint point_;
  bool is_anchored_ = true;  // else the hash in point_ is not known
  hash::Sha256 hash_;
};

}  // namespace pgrid::control
