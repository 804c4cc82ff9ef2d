#include "dataplane/worker/sandbox.hpp"

#include <malloc.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

#include "dataplane/worker/system_calls.hpp"
#include "drivers/sandbox/privileges.hpp"

namespace pgrid::worker {
namespace {

#if defined(__SANITIZE_ADDRESS__)
#define PGRID_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PGRID_ADDRESS_SANITIZER 1
#endif
#endif

#ifdef PGRID_ADDRESS_SANITIZER
/// What AddressSanitizer needs to write a report before it ends the process. In no build that serves.
void add_sanitizer_calls(std::vector<sandbox::SystemCall>& calls) {
  for (const int number : {SYS_openat, SYS_read, SYS_pread64, SYS_newfstatat, SYS_fstat, SYS_readlinkat, SYS_lseek, SYS_ioctl,
                           SYS_mmap, SYS_mprotect, SYS_madvise, SYS_rt_sigaction, SYS_prlimit64, SYS_sched_getaffinity,
                           SYS_write, SYS_uname, SYS_prctl,
#ifdef SYS_open
                           SYS_open, SYS_readlink, SYS_stat, SYS_getrlimit
#endif
       })
    calls.push_back({number, "AddressSanitizer's reports"});
}
#endif

}  // namespace

Result<void> drop_privileges(std::span<const int> kept) {
  // What would open files later, when that is death: glibc reads /proc/sys/vm/overcommit_memory before it shrinks any heap
  // but the first one, and Rust reads the program itself to print a backtrace.
  ::mallopt(M_ARENA_MAX, 1);
  ::unsetenv("RUST_BACKTRACE");
  ::unsetenv("RUST_LIB_BACKTRACE");

  if (auto closed = sandbox::close_descriptors(kept); !closed) return closed;
  if (auto hidden = sandbox::forbid_dumps(); !hidden) return hidden;
  return sandbox::give_up_capabilities();
}

Result<void> enter_sandbox(int socket) {
  auto calls = worker_system_calls({.pid = ::getpid(), .socket = socket});
#ifdef PGRID_ADDRESS_SANITIZER
  add_sanitizer_calls(calls);
#endif
  return sandbox::enter_filter(calls);
}

}  // namespace pgrid::worker
