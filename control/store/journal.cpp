#include "control/store/journal.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>

namespace pgrid::control {
namespace {

constexpr std::uint32_t kMagic = 0x314a'4750;  // "PGJ1"

struct RecordHeader {
  std::uint32_t magic;
  std::uint32_t length;
  std::uint64_t sequence;
  std::uint64_t check;
};
static_assert(sizeof(RecordHeader) == kJournalHeader);

std::uint64_t check_of(const RecordHeader& header, std::span<const std::uint8_t> payload) {
  return XXH3_64bits_withSeed(payload.data(), payload.size(),
                              XXH3_64bits(&header, offsetof(RecordHeader, check)));
}

void add_record(Bytes& out, std::uint64_t sequence, std::span<const std::uint8_t> payload) {
  RecordHeader header{kMagic, static_cast<std::uint32_t>(payload.size()), sequence, 0};
  header.check = check_of(header, payload);
  const auto* raw = reinterpret_cast<const std::uint8_t*>(&header);
  out.insert(out.end(), raw, raw + sizeof header);
  out.insert(out.end(), payload.begin(), payload.end());
}

/// The payload of a whole record at the front of `bytes`; empty when there is none.
std::span<const std::uint8_t> whole_record(std::span<const std::uint8_t> bytes, RecordHeader& header) {
  if (bytes.size() < sizeof header) return {};
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != kMagic || header.length == 0 || header.length > kJournalPayloadMax ||
      header.length > bytes.size() - sizeof header)
    return {};
  const auto payload = bytes.subspan(sizeof header, header.length);
  return header.check == check_of(header, payload) ? payload : std::span<const std::uint8_t>{};
}

bool any_whole_record(std::span<const std::uint8_t> bytes) {
  RecordHeader header{};
  for (std::size_t at = 0; at + sizeof header <= bytes.size(); ++at)
    if (!whole_record(bytes.subspan(at), header).empty()) return true;
  return false;
}

bool is_file_of(const std::filesystem::path& path, int fd) {
  struct stat named {}, open {};
  return ::stat(path.c_str(), &named) == 0 && ::fstat(fd, &open) == 0 && named.st_dev == open.st_dev &&
         named.st_ino == open.st_ino;
}

}  // namespace

Result<Journal> Journal::open(const std::filesystem::path& path, const Visit& visit) {
  Journal journal(path);
  Result<Bytes> content = read_file(path, kJournalSizeMax);
  if (!content && content.error().code == Errc::not_found) {
    Result<UniqueFd> fd = replace_file(path, {});
    if (!fd) return std::unexpected(fd.error());
    journal.fd_ = std::move(*fd);
    return journal;
  }
  if (!content) return std::unexpected(content.error());

  const std::span<const std::uint8_t> bytes(*content);
  const std::string operation = "recover " + path.string();
  std::size_t at = 0;
  for (;;) {
    RecordHeader header{};
    const auto payload = whole_record(bytes.subspan(at), header);
    if (payload.empty()) break;
    if (at != 0 && header.sequence != journal.sequence_ + 1)
      return fail(Errc::corrupt, operation, "a record is missing before byte " + std::to_string(at),
                  "restore the file from a copy");
    if (Result<void> taken = visit(payload); !taken) {
      Error error = taken.error();
      error.operation = operation;
      error.cause += " (byte " + std::to_string(at) + ")";
      return std::unexpected(std::move(error));
    }
    journal.sequence_ = header.sequence;
    at += sizeof header + payload.size();
  }
  if (any_whole_record(bytes.subspan(at)))
    return fail(Errc::corrupt, operation,
                "the record at byte " + std::to_string(at) +
                    " was changed after it was written, and others follow it",
                "restore the file from a copy; moving it away starts the node without processes and rights");

  journal.fd_ = UniqueFd(::open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC));
  if (!journal.fd_) return fail_errno("open " + path.string(), errno);
  journal.size_ = at;
  journal.torn_bytes_ = bytes.size() - at;
  if (journal.torn_bytes_ != 0 &&
      (::ftruncate(journal.fd_.get(), static_cast<off_t>(at)) != 0 || ::fdatasync(journal.fd_.get()) != 0))
    return fail_errno(operation + ": cut off its torn end", errno);
  return journal;
}

Result<void> Journal::append(std::span<const std::uint8_t> payload) {
  const std::string operation = "append to " + path_.string();
  if (must_rewrite_)
    return fail(Errc::io, operation, "an earlier write did not reach the disk",
                "check the disk; control tries again at the next change");
  if (payload.empty() || payload.size() > kJournalPayloadMax)
    return fail(Errc::internal, operation, std::to_string(payload.size()) + " bytes in one record");
  Bytes record;
  record.reserve(kJournalHeader + payload.size());
  add_record(record, sequence_ + 1, payload);
  if (Result<void> written = write_all(fd_.get(), record); !written) {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size_)) != 0) must_rewrite_ = true;
    Error error = written.error();
    error.operation = operation;
    return std::unexpected(std::move(error));
  }
  if (::fdatasync(fd_.get()) != 0) {
    // The kernel may have dropped the pages and call them clean: only a new file tells what is on disk.
    must_rewrite_ = true;
    return fail_errno(operation + ": fdatasync", errno, "check the disk");
  }
  size_ += record.size();
  ++sequence_;
  return {};
}

Result<void> Journal::rewrite(std::span<const Bytes> payloads) {
  Bytes content;
  std::uint64_t sequence = sequence_;
  for (const Bytes& payload : payloads) add_record(content, ++sequence, payload);
  Result<UniqueFd> fd = replace_file(path_, content);
  if (!fd) {
    // Where our file still stands under the name, nothing happened. Else the new one does, but perhaps not for good.
    must_rewrite_ = must_rewrite_ || !is_file_of(path_, fd_.get());
    return std::unexpected(fd.error());
  }
  fd_ = std::move(*fd);
  size_ = content.size();
  sequence_ = sequence;
  must_rewrite_ = false;
  return {};
}

}  // namespace pgrid::control
