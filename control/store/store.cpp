#include "control/store/store.hpp"

#include <algorithm>

#include "control/store/changes.hpp"

namespace pgrid::control {
namespace {

constexpr std::size_t kChangesPerRecord = 1024;      // at most about 400 bytes each: below kJournalPayloadMax
constexpr std::uint64_t kCompactAtLeast = 1u << 20;  // bytes; a smaller journal is read in milliseconds
constexpr std::uint64_t kCompactGrowth = 4;          // times the size after the last compaction

}  // namespace

Result<std::unique_ptr<Store>> Store::open(EventLoop& loop, const std::filesystem::path& directory) {
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
  return std::unique_ptr<Store>(new Store(loop, std::move(*lock), std::move(*journal), std::move(state)));
}

void Store::commit(Change change, Done done) {
  std::vector<Change> changes;
  changes.push_back(std::move(change));
  commit(std::move(changes), std::move(done));
}

void Store::commit(std::vector<Change> changes, Done done) {
  for (Change& change : changes) {
    befores_.push_back(state_.before(change));
    state_.apply(change);
    changes_.push_back(std::move(change));
  }
  waiting_.push_back(std::move(done));
  if (!flush_) flush_ = loop_.after(std::chrono::microseconds(0), [this] { flush(); });
}

void Store::flush() {
  const Result<void> written = write();
  if (!written)
    for (auto before = befores_.rbegin(); before != befores_.rend(); ++before) state_.take_back(*before);
  changes_.clear();
  befores_.clear();
  // A compaction that fails changes nothing that was acknowledged: the next flush tries again or refuses.
  if (written && is_worth_compacting()) (void)compact();
  flush_.reset();
  // Those who are told commit again.
  for (const Done& done : std::exchange(waiting_, {})) done(written);
}

Result<void> Store::write() {
  if (journal_.must_rewrite()) {
    // The journal is written from what it is to say without these changes.
    State state = state_;
    for (auto before = befores_.rbegin(); before != befores_.rend(); ++before) state.take_back(*before);
    std::swap(state, state_);
    const Result<void> mended = compact();
    std::swap(state, state_);
    if (!mended) return mended;
  }
  if (changes_.empty()) return {};
  return journal_.append(encode(changes_));
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
