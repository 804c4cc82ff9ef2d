#include "drivers/dpdk/panic_guard.hpp"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <string>

namespace pgrid::dpdk {
namespace {

const EalLogScope* g_log = nullptr;
const std::filesystem::path* g_folder = nullptr;
int g_stderr = -1;

/// On the thread that called rte_panic, outside of any lock of ours: allocating and printing is safe.
void on_abort(int) {
  const std::string cause = g_log->cause("DPDK gave up");
  ::dprintf(g_stderr,
            "%s: start DPDK (rte_eal_init): %s; raise the limits on open files and threads (ulimit -n, -u)\n",
            program_invocation_short_name, cause.c_str());
  (void)::rmdir(g_folder->c_str());
  ::_exit(1);
}

}  // namespace

PanicGuard::PanicGuard(const EalLogScope& log, int stderr_fd, const std::filesystem::path& folder) {
  g_log = &log;
  g_folder = &folder;
  g_stderr = stderr_fd;
  struct sigaction action{};
  action.sa_handler = on_abort;
  (void)::sigaction(SIGABRT, &action, &old_);
}

PanicGuard::~PanicGuard() { (void)::sigaction(SIGABRT, &old_, nullptr); }

}  // namespace pgrid::dpdk
