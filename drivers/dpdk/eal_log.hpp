// DPDK's log, kept instead of printed: the cause that an Error names. For the other files of this folder.
#pragma once

#include <string>

namespace pgrid::dpdk {

/// Sends DPDK's log here from now on; repeated calls do nothing. Nothing reaches the user's terminal, except
/// that PGRID_EAL_LOG=1 in the environment prints every line to stderr (for developers).
void capture_eal_log();

/// The warnings and errors that DPDK logged since this object was made: the first is nearly always the cause,
/// those that follow report its consequences.
class EalLogScope {
 public:
  EalLogScope();
  /// First warning or error line without its "EAL: " or function prefix; `fallback` when there was none.
  [[nodiscard]] std::string cause(const std::string& fallback) const;

 private:
  unsigned long start_;
};

/// The cause of a DPDK call that returned a negative errno (or left one in rte_errno): what the log said,
/// else the errno's text.
[[nodiscard]] std::string describe(const EalLogScope& scope, int error_number);

}  // namespace pgrid::dpdk
