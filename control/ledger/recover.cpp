#include "control/ledger/recover.hpp"

#include <algorithm>

#include "control/ledger/cursor.hpp"
#include "control/ledger/mark.hpp"

namespace pgrid::control {
namespace {

constexpr const char* kRemedy =
    "restore the state directory from a copy; see docs/OPERATING.md, \"A damaged log\"";

/// A whole record behind the end that was made when the one that is missing at the end was on disk.
const char* acknowledged_behind(std::span<const std::uint8_t> rest, std::uint64_t missing) {
  for (std::size_t at = 0; at + kLogHeader <= rest.size(); ++at) {
    if (rest[at] != 'P' || !record_size(rest.subspan(at))) continue;
    const std::optional<LogRecord> record = whole_record(rest.subspan(at));
    if (record && record->durable >= missing)
      return "it was changed after it was written, and others follow it";
  }
  return nullptr;
}

}  // namespace

Result<LogEnd> read_log(const std::filesystem::path& directory, const LogPoint& from,
                        const VisitRecord& visit) {
  Result<LogCursor> cursor = LogCursor::open(directory, from);
  if (!cursor) return std::unexpected(cursor.error());
  const LogPoint mark = read_mark(directory);
  const auto damaged = [&](const std::string& cause) {
    const std::string where =
        cursor->segment() == nullptr ? directory.string() : cursor->segment()->path.string();
    return fail(Errc::corrupt,
                "read record " + std::to_string(cursor->point().sequence + 1) + " of the log (" + where +
                    ", byte " + std::to_string(cursor->offset()) + ")",
                cause, kRemedy);
  };
  for (;;) {
    const Result<std::optional<LogRecord>> record = cursor->next();
    if (!record) return std::unexpected(record.error());
    if (!*record) break;
    if (Result<void> taken = visit(**record); !taken) {
      Error error = taken.error();
      error.operation = "record " + std::to_string((*record)->sequence) + " of the log: " + error.operation;
      return std::unexpected(std::move(error));
    }
    if (cursor->point().sequence == mark.sequence && cursor->point().hash != mark.hash)
      return fail(Errc::corrupt, "read record " + std::to_string(mark.sequence) + " of the log",
                  "it is not the one that was acknowledged", kRemedy);
  }
  const Result<Bytes> rest = cursor->rest();
  if (!rest) return std::unexpected(rest.error());
  if (const char* cause = acknowledged_behind(*rest, cursor->point().sequence + 1)) return damaged(cause);
  if (mark.sequence > cursor->point().sequence)
    return damaged("it and all others up to " + std::to_string(mark.sequence) +
                   " were acknowledged, and are damaged or missing");
  LogEnd end{.point = cursor->point(), .segment = {}, .offset = cursor->offset(), .torn_bytes = 0};
  if (cursor->segment() != nullptr) end.segment = cursor->segment()->path;
  // A power cut leaves zeros where a file was made longer and nothing was written: they are no torn record.
  const auto last = std::find_if(rest->rbegin(), rest->rend(), [](std::uint8_t byte) { return byte != 0; });
  end.torn_bytes = static_cast<std::uint64_t>(rest->rend() - last);
  return end;
}

}  // namespace pgrid::control
