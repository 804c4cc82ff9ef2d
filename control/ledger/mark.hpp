// The last record that was acknowledged, in a file beside the log: by it a damaged end is told from a torn
// one. It is written after each flush and not flushed itself, so after a power cut it may be older than the
// log, never newer.
#pragma once

#include <filesystem>

#include "control/ledger/record.hpp"
#include "drivers/base/result.hpp"
#include "drivers/base/unique_fd.hpp"

namespace pgrid::control {

/// Sequence 0 when there is none, or none that can be read: then nothing is known.
[[nodiscard]] LogPoint read_mark(const std::filesystem::path& directory);

/// Move-only.
class LogMark {
 public:
  [[nodiscard]] static Result<LogMark> open(const std::filesystem::path& directory);
  /// What fails is not said: a mark that is missing takes nothing away but this one check.
  void set(const LogPoint& point);

 private:
  UniqueFd fd_;
};

}  // namespace pgrid::control
