#include "control/store/journal.hpp"

#include <xxhash.h>

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

/// The payload of a whole record at the front of `bytes`; empty when there is none.
std::span<const std::uint8_t> whole_record(std::span<const std::uint8_t> bytes, RecordHeader& header) {
  if (bytes.size() < sizeof header) return {};
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != kMagic || header.length == 0 || header.length > kJournalPayloadMax ||
      header.length > bytes.size() - sizeof header)
    return {};
  const auto payload = bytes.subspan(sizeof header, header.length);
  const std::uint64_t seed = XXH3_64bits(&header, offsetof(RecordHeader, check));
  return header.check == XXH3_64bits_withSeed(payload.data(), payload.size(), seed)
             ? payload
             : std::span<const std::uint8_t>{};
}

bool any_whole_record(std::span<const std::uint8_t> bytes) {
  RecordHeader header{};
  for (std::size_t at = 0; at + sizeof header <= bytes.size(); ++at)
    if (!whole_record(bytes.subspan(at), header).empty()) return true;
  return false;
}

}  // namespace

Result<JournalEnd> read_journal(const std::filesystem::path& path,
                                const std::function<Result<void>(std::span<const std::uint8_t>)>& visit) {
  const Result<Bytes> content = read_file(path, kJournalSizeMax);
  if (!content) return std::unexpected(content.error());
  const std::span<const std::uint8_t> bytes(*content);
  const std::string operation = "recover " + path.string();
  std::size_t at = 0;
  std::uint64_t sequence = 0;
  for (;;) {
    RecordHeader header{};
    const auto payload = whole_record(bytes.subspan(at), header);
    if (payload.empty()) break;
    if (at != 0 && header.sequence != sequence + 1)
      return fail(Errc::corrupt, operation, "a record is missing before byte " + std::to_string(at),
                  "restore the file from a copy");
    if (Result<void> taken = visit(payload); !taken) {
      Error error = taken.error();
      error.operation = operation;
      error.cause += " (byte " + std::to_string(at) + ")";
      return std::unexpected(std::move(error));
    }
    sequence = header.sequence;
    at += sizeof header + payload.size();
  }
  if (any_whole_record(bytes.subspan(at)))
    return fail(Errc::corrupt, operation,
                "the record at byte " + std::to_string(at) +
                    " was changed after it was written, and others follow it",
                "restore the file from a copy; moving it away starts the node without processes and rights");
  return JournalEnd{bytes.size() - at};
}

}  // namespace pgrid::control
