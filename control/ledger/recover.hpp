// Reading the log at start, and when it is verified: what is whole, where it ends, and whether that is where
// it should end.
//
// Recovery reads to the first record that is not whole. Where no record behind it was made after it was on
// disk, it is the torn end of a write that was never acknowledged, and is cut off. Otherwise acknowledged
// bytes have changed, and the log is refused: going on would silently forget rights that people hold, or
// bring back some that were revoked.
#pragma once

#include <filesystem>
#include <functional>

#include "control/ledger/record.hpp"
#include "drivers/base/result.hpp"

namespace pgrid::control {

/// Called for each record, in order.
using VisitRecord = std::function<Result<void>(const LogRecord&)>;

struct LogEnd {
  LogPoint point;                 // the last whole record
  std::filesystem::path segment;  // the file that it ends in; empty: there is none
  std::uint64_t offset = 0;       // where the next record goes in there
  std::uint64_t torn_bytes = 0;   // behind it: the end of a write that was never acknowledged
};

/// Reads everything behind `from`. `directory` holds segments, and a mark (mark.hpp) if there was time to
/// write one.
[[nodiscard]] Result<LogEnd> read_log(const std::filesystem::path& directory, const LogPoint& from,
                                      const VisitRecord& visit);

}  // namespace pgrid::control
