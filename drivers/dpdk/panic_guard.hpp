// Turns an abort within rte_eal_init into one sentence. For eal.cpp.
#pragma once

#include <csignal>
#include <filesystem>

#include "drivers/dpdk/eal_log.hpp"

namespace pgrid::dpdk {

/// While this object lives, rte_panic (EAL cannot make a pipe or a thread) ends the process with status 1 and
/// a sentence on `stderr_fd`, instead of a stack trace and a core dump, and removes the empty run-time
/// folder. One at a time.
class PanicGuard {
 public:
  PanicGuard(const EalLogScope& log, int stderr_fd, const std::filesystem::path& folder);
  PanicGuard(const PanicGuard&) = delete;
  PanicGuard& operator=(const PanicGuard&) = delete;
  ~PanicGuard();

 private:
  struct sigaction old_{};
};

}  // namespace pgrid::dpdk
