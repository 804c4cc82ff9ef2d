#include "control/store/migrate.hpp"

#include <algorithm>
#include <cstdio>
#include <system_error>

#include "control/clock.hpp"
#include "control/ledger/segments.hpp"
#include "control/store/files.hpp"
#include "control/store/fold.hpp"
#include "control/store/journal.hpp"
#include "control/store/journal_changes.hpp"
#include "control/store/log_changes.hpp"

namespace pgrid::control {
namespace {

constexpr std::size_t kChangesPerRecord = 1024;  // at most about 8 KiB each (a verdict): below kPayloadMax

Bytes records_of(const State& state) {
  Bytes records;
  LogPoint last;
  hash::Sha256 hash;
  const std::vector<Change> changes = state.as_changes();
  for (std::size_t at = 0; at < changes.size(); at += kChangesPerRecord) {
    const Bytes payload =
        encode_changes(std::span(changes).subspan(at, std::min(kChangesPerRecord, changes.size() - at)));
    const std::size_t begin = records.size();
    add_record(records, {.sequence = last.sequence + 1,
                         .durable = 0,
                         .time_unix_ns = static_cast<std::uint64_t>(unix_ns()),
                         .before = last.hash,
                         .payload = payload});
    last = {last.sequence + 1, hash.of(std::span<const std::uint8_t>(records).subspan(begin))};
  }
  return records;
}

}  // namespace

Result<std::string> migrate_journal(const std::filesystem::path& state_directory) {
  const std::filesystem::path journal = state_directory / "journal";
  const std::filesystem::path log = log_directory(state_directory);
  std::error_code error;
  if (std::filesystem::exists(log, error) || !std::filesystem::exists(journal, error)) return std::string();
  State state;
  const Result<JournalEnd> end =
      read_journal(journal, [&](std::span<const std::uint8_t> payload) -> Result<void> {
        const Result<std::vector<Change>> changes = decode_journal(payload);
        if (!changes) return std::unexpected(changes.error());
        for (const Change& change : *changes) state.apply(change);
        return {};
      });
  if (!end) return std::unexpected(end.error());

  std::filesystem::path fresh = log;
  fresh += ".new";
  std::filesystem::remove_all(fresh, error);
  if (Result<void> made = make_private_directory(fresh); !made) return std::unexpected(made.error());
  if (const Bytes records = records_of(state); !records.empty())
    if (Result<UniqueFd> written = replace_file(segment_path(fresh, 1), records); !written)
      return std::unexpected(written.error());
  std::filesystem::path kept = journal;
  kept += ".before-log";
  if (std::rename(fresh.c_str(), log.c_str()) != 0) return fail_errno("rename " + fresh.string(), errno);
  if (Result<void> synced = sync_directory(state_directory); !synced) return std::unexpected(synced.error());
  std::filesystem::rename(journal, kept, error);  // a log is there: the journal is not looked at again
  return "the journal of an earlier version is now a log; what it was is kept in " + kept.string() +
         (end->torn_bytes == 0 ? ""
                               : ", with " + std::to_string(end->torn_bytes) +
                                     " bytes of a write that was never acknowledged");
}

}  // namespace pgrid::control
