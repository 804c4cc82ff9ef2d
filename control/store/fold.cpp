#include "control/store/fold.hpp"

#include "control/ledger/cursor.hpp"
#include "control/ledger/snapshot.hpp"
#include "control/store/log_changes.hpp"

namespace pgrid::control {

std::filesystem::path log_directory(const std::filesystem::path& state_directory) {
  return state_directory / "log";
}

Result<Folded> fold_snapshot(const std::filesystem::path& log, std::vector<std::string>& remarks) {
  Folded folded;
  if (const std::optional<Snapshot> snapshot = newest_snapshot(log, remarks)) {
    const Result<std::vector<Change>> changes = decode_changes(snapshot->payload);
    if (!changes) return std::unexpected(changes.error());
    for (const Change& change : *changes) folded.state.apply(change);
    folded.end.point = snapshot->point;
  }
  return folded;
}

Result<Folded> fold_log(const std::filesystem::path& log, std::vector<std::string>& remarks) {
  Result<Folded> folded = fold_snapshot(log, remarks);
  if (!folded) return folded;
  Result<LogEnd> end = read_log(log, folded->end.point, [&](const LogRecord& record) -> Result<void> {
    const Result<std::vector<Change>> changes = decode_changes(record.payload);
    if (!changes) return std::unexpected(changes.error());
    for (const Change& change : *changes) folded->state.apply(change);
    ++folded->replayed;
    return {};
  });
  if (!end) return std::unexpected(end.error());
  folded->end = std::move(*end);
  return folded;
}

Result<void> make_snapshot(const std::filesystem::path& log, std::uint64_t until) {
  std::vector<std::string> remarks;
  Result<Folded> folded = fold_snapshot(log, remarks);
  if (!folded) return std::unexpected(folded.error());
  Result<LogCursor> cursor = LogCursor::open(log, folded->end.point);
  if (!cursor) return std::unexpected(cursor.error());
  while (cursor->point().sequence < until) {
    const Result<std::optional<LogRecord>> record = cursor->next();
    if (!record) return std::unexpected(record.error());
    if (!*record)
      return fail(Errc::corrupt, "make a snapshot", "the log ends before record " + std::to_string(until));
    const Result<std::vector<Change>> changes = decode_changes((*record)->payload);
    if (!changes) return std::unexpected(changes.error());
    for (const Change& change : *changes) folded->state.apply(change);
  }
  return write_snapshot(log, cursor->point(), encode_changes(folded->state.as_changes()));
}

}  // namespace pgrid::control
