#include "control/ledger/snapshot.hpp"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <system_error>

#include "control/clock.hpp"
#include "control/ledger/segments.hpp"
#include "control/store/files.hpp"

namespace pgrid::control {
namespace {

constexpr std::uint64_t kMagic = 0x3130'5041'4e53'4750;  // "PGSNAP01"
constexpr std::string_view kEnding = ".snapshot";
constexpr std::uint64_t kSnapshotMax = std::uint64_t{1} << 32;  // bytes; 2^20 rights of 256, 16 times over
constexpr std::size_t kKept = 2;

struct Header {
  std::uint64_t magic;
  std::uint64_t length;
  std::uint64_t sequence;
  std::uint64_t time_unix_ns;
  LogHash hash;
  std::uint64_t check;
};
static_assert(sizeof(Header) == 72);

std::uint64_t check_of(const Header& header, std::span<const std::uint8_t> payload) {
  return XXH3_64bits_withSeed(payload.data(), payload.size(), XXH3_64bits(&header, offsetof(Header, check)));
}

/// Newest first.
std::vector<Segment> list(const std::filesystem::path& directory) {
  std::vector<Segment> found;
  std::error_code error;
  std::filesystem::directory_iterator entries(directory, error);
  for (const std::filesystem::directory_iterator end; !error && entries != end; entries.increment(error))
    if (const auto sequence = numbered_name(entries->path(), kEnding))
      found.push_back({*sequence, entries->path()});
  std::sort(found.begin(), found.end(), [](const Segment& a, const Segment& b) { return a.first > b.first; });
  return found;
}

Result<Snapshot> read(const Segment& file) {
  Result<Bytes> content = read_file(file.path, kSnapshotMax);
  if (!content) return std::unexpected(content.error());
  Header header{};
  const auto bad = [&] {
    return fail(Errc::corrupt, "read " + file.path.string(), "it is not what was written");
  };
  if (content->size() < sizeof header) return bad();
  std::memcpy(&header, content->data(), sizeof header);
  const auto payload = std::span<const std::uint8_t>(*content).subspan(sizeof header);
  if (header.magic != kMagic || header.length != payload.size() || header.sequence != file.first ||
      header.check != check_of(header, payload))
    return bad();
  content->erase(content->begin(), content->begin() + sizeof header);
  return Snapshot{{header.sequence, header.hash}, std::move(*content)};
}

}  // namespace

std::optional<Snapshot> newest_snapshot(const std::filesystem::path& directory,
                                        std::vector<std::string>& damaged) {
  for (const Segment& file : list(directory)) {
    Result<Snapshot> snapshot = read(file);
    if (snapshot) return std::move(*snapshot);
    damaged.push_back(snapshot.error().sentence());
  }
  return std::nullopt;
}

Result<void> write_snapshot(const std::filesystem::path& directory, const LogPoint& point,
                            std::span<const std::uint8_t> payload) {
  Header header{.magic = kMagic,
                .length = payload.size(),
                .sequence = point.sequence,
                .time_unix_ns = static_cast<std::uint64_t>(unix_ns()),
                .hash = point.hash,
                .check = 0};
  header.check = check_of(header, payload);
  Bytes content(sizeof header + payload.size());
  std::memcpy(content.data(), &header, sizeof header);
  std::memcpy(content.data() + sizeof header, payload.data(), payload.size());
  if (Result<UniqueFd> written = replace_file(directory / numbered_name(point.sequence, kEnding), content);
      !written)
    return std::unexpected(written.error());
  const std::vector<Segment> all = list(directory);
  std::error_code ignored;
  for (std::size_t i = kKept; i < all.size(); ++i) std::filesystem::remove(all[i].path, ignored);
  return {};
}

}  // namespace pgrid::control
