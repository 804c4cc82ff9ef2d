#include "control/store/store.hpp"

#include <algorithm>

#include "control/store/changes.hpp"

namespace pgrid::control {
namespace {

constexpr std::size_t kChangesPerRecord = 1024;      // at most about 400 bytes each: below kJournalPayloadMax
constexpr std::uint64_t kCompactAtLeast = 1u << 20;  // bytes; a smaller journal is read in milliseconds
constexpr std::uint64_t kCompactGrowth = 4;          // times the size after the last compaction

}  // namespace

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& directory) {
  if (Result<void> made = make_private_directory(directory); !made) return std::unexpected(made.error());
  Result<UniqueFd> lock = lock_file(directory / "lock");
  if (!lock) return std::unexpected(lock.error());
  State state;
  const auto replay = [&](std::span<const std::uint8_t> payload) -> Result<void> {
    const Result<std::vector<Change>> changes = decode(payload);
    if (!changes) return std::unexpected(changes.error());
    for (const Change& change : *changes) state.apply(change);
    return {};
  };
  Result<Journal> journal = Journal::open(directory / "journal", replay);
  if (!journal) return std::unexpected(journal.error());
  return std::unique_ptr<Store>(new Store(std::move(*lock), std::move(*journal), std::move(state)));
}

Result<void> Store::commit(std::span<const Change> changes) {
  if (journal_.must_rewrite())
    if (Result<void> mended = compact(); !mended) return mended;
  if (changes.empty()) return {};
  if (Result<void> written = journal_.append(encode(changes)); !written) return written;
  for (const Change& change : changes) state_.apply(change);
  // A compaction that fails changes nothing that was acknowledged: the next commit tries again or refuses.
  if (is_worth_compacting()) (void)compact();
  return {};
}

Result<void> Store::compact() {
  const std::vector<Change> changes = state_.as_changes();
  std::vector<Bytes> payloads;
  for (std::size_t at = 0; at < changes.size(); at += kChangesPerRecord)
    payloads.push_back(
        encode(std::span(changes).subspan(at, std::min(kChangesPerRecord, changes.size() - at))));
  Result<void> written = journal_.rewrite(payloads);
  if (written) compacted_size_ = journal_.size();
  return written;
}

bool Store::is_worth_compacting() const {
  return journal_.size() > kCompactAtLeast && journal_.size() > kCompactGrowth * compacted_size_;
}

}  // namespace pgrid::control
