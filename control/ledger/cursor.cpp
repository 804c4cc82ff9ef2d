#include "control/ledger/cursor.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace pgrid::control {
namespace {

constexpr std::size_t kReadAtOnce = std::size_t{256} << 10;  // bytes; what is in a cache
constexpr const char* kRemedy =
    "restore the state directory from a copy; see docs/OPERATING.md, \"A damaged log\"";

}  // namespace

std::unexpected<Error> LogCursor::damaged(const std::string& cause) const {
  return fail(
      Errc::corrupt,
      "read record " + std::to_string(point_.sequence + 1) + " of the log (" +
          (fd_ ? segments_[at_].path.string() + ", byte " + std::to_string(offset_) : directory_.string()) +
          ")",
      cause, kRemedy);
}

Result<LogCursor> LogCursor::open(const std::filesystem::path& directory, const LogPoint& from) {
  Result<std::vector<Segment>> segments = list_segments(directory);
  if (!segments) return std::unexpected(segments.error());
  LogCursor cursor(directory, std::move(*segments));
  cursor.point_ = from;
  std::size_t start = cursor.segments_.size();
  while (start > 0 && cursor.segments_[start - 1].first > from.sequence + 1) --start;
  if (start == 0) {
    if (cursor.segments_.empty() && from.sequence == 0) return cursor;
    return cursor.damaged(cursor.segments_.empty()
                              ? "there is no log"
                              : "the log begins with record " + std::to_string(cursor.segments_[0].first));
  }
  if (Result<void> entered = cursor.enter(start - 1); !entered) return std::unexpected(entered.error());
  const std::uint64_t first = cursor.segments_[start - 1].first;
  if (first == from.sequence + 1) return cursor;
  cursor.point_ = {first - 1, {}};
  cursor.is_anchored_ = first == 1;
  while (cursor.point_.sequence < from.sequence) {
    const Result<std::optional<LogRecord>> record = cursor.next();
    if (!record) return std::unexpected(record.error());
    if (!*record)
      return cursor.damaged("the log ends before record " + std::to_string(from.sequence) +
                            ", which a snapshot knows");
  }
  if (cursor.point_ != from) {
    cursor.point_.sequence = from.sequence - 1;
    return cursor.damaged("it is not the record that a snapshot knows");
  }
  return cursor;
}

Result<void> LogCursor::enter(std::size_t segment) {
  const std::filesystem::path& path = segments_[segment].path;
  fd_ = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd_) return fail_errno("open " + path.string(), errno);
  at_ = segment;
  offset_ = 0;
  used_ = 0;
  buffer_.clear();
  return {};
}

Result<void> LogCursor::refresh() {
  used_ = 0;
  buffer_.clear();
  Result<std::vector<Segment>> segments = list_segments(directory_);
  if (!segments) return std::unexpected(segments.error());
  const std::uint64_t first = fd_ ? segments_[at_].first : point_.sequence + 1;
  segments_ = std::move(*segments);
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    if (segments_[i].first != first) continue;
    if (!fd_) return enter(i);
    at_ = i;
    return {};
  }
  if (!fd_ && segments_.empty()) return {};
  return damaged("its file is gone");
}

Result<std::span<const std::uint8_t>> LogCursor::look(std::size_t size) {
  if (buffer_.size() - used_ < size) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(used_));
    used_ = 0;
    std::size_t filled = buffer_.size();
    buffer_.resize(std::max(size, kReadAtOnce));
    while (filled < size) {
      const ssize_t n = ::pread(fd_.get(), buffer_.data() + filled, buffer_.size() - filled,
                                static_cast<off_t>(offset_ + filled));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        const int error = errno;
        buffer_.resize(filled);
        return fail_errno("read " + segments_[at_].path.string(), error, "check the disk");
      }
      if (n == 0) break;
      filled += static_cast<std::size_t>(n);
    }
    buffer_.resize(filled);
  }
  return std::span<const std::uint8_t>(buffer_).subspan(used_);
}

Result<std::optional<LogRecord>> LogCursor::next() {
  if (!fd_) return std::nullopt;
  while (has_following() && segments_[at_ + 1].first <= point_.sequence + 1) {
    if (segments_[at_ + 1].first != point_.sequence + 1)
      return damaged("two files hold records of that number");
    if (Result<void> entered = enter(at_ + 1); !entered) return std::unexpected(entered.error());
  }
  Result<std::span<const std::uint8_t>> bytes = look(kLogHeader);
  if (!bytes) return std::unexpected(bytes.error());
  const std::optional<std::size_t> size = bytes->size() < kLogHeader ? std::nullopt : record_size(*bytes);
  if (size) bytes = look(*size);
  if (!bytes) return std::unexpected(bytes.error());
  const std::optional<LogRecord> record = size ? whole_record(*bytes) : std::nullopt;
  if (!record) {
    if (has_following()) return damaged("it was changed after it was written, and others follow it");
    return std::nullopt;
  }
  if (record->sequence != point_.sequence + 1)
    return damaged("record " + std::to_string(record->sequence) + " stands in its place");
  if (is_anchored_ && record->before != point_.hash)
    return damaged("it does not follow from the record before: one of the two was changed");
  is_anchored_ = true;
  point_ = {record->sequence, hash_.of(bytes->first(record->size()))};
  offset_ += record->size();
  used_ += record->size();
  return record;
}

Result<Bytes> LogCursor::rest() {
  Bytes all;
  if (!fd_) return all;
  const std::uint64_t end = static_cast<std::uint64_t>(std::max<off_t>(::lseek(fd_.get(), 0, SEEK_END), 0));
  const Result<std::span<const std::uint8_t>> bytes = look(end > offset_ ? end - offset_ : 0);
  if (!bytes) return std::unexpected(bytes.error());
  all.assign(bytes->begin(), bytes->end());
  return all;
}

}  // namespace pgrid::control
