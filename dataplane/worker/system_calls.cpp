#include "dataplane/worker/system_calls.hpp"

#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pgrid::worker {
namespace {

using sandbox::bits;
using sandbox::is;

constexpr std::uint64_t kFutexCommand = sandbox::Condition::kWord & FUTEX_CMD_MASK;  // what to do, without its flags
constexpr int kPidfdSelf = -10000;  // PIDFD_SELF_THREAD_GROUP of Linux 6.14, which older headers lack

}  // namespace

std::vector<sandbox::SystemCall> worker_system_calls(const Self& self) {
  return {
      // Memory. Nothing is ever writable and executable at once, and nothing new is shared with other processes.
      {SYS_brk, "malloc"},
      {SYS_mmap, "malloc, code, signal stacks", {bits(2, PROT_EXEC, 0), bits(3, MAP_SHARED | MAP_PRIVATE, MAP_PRIVATE)}},
      {SYS_mprotect, "linear memory grows, code is sealed for reading", {bits(2, PROT_EXEC, 0)}},
      {SYS_mprotect, "code becomes executable once it is written", {bits(2, PROT_EXEC | PROT_WRITE, PROT_EXEC)}},
      {SYS_munmap, "malloc, code of removed functions"},
      {SYS_mremap, "malloc grows a large block", {is(3, MREMAP_MAYMOVE)}},
      {SYS_madvise, "stack of a thread that ends, malloc", {is(2, MADV_DONTNEED)}},
      {SYS_process_madvise, "Wasmtime's pool, of this process", {is(0, kPidfdSelf), is(3, MADV_DONTNEED)}},

      // Guests that trap: Wasmtime's signal handlers.
      {SYS_rt_sigreturn, "end of a signal handler"},
      {SYS_sigaltstack, "handlers run on a stack of their own"},
      {SYS_rt_sigaction, "a fault that is no guest's ends the process", {is(0, SIGSEGV)}},
      {SYS_rt_sigaction, "the same", {is(0, SIGBUS)}},
      {SYS_rt_sigaction, "the same", {is(0, SIGILL)}},
      {SYS_rt_sigaction, "the same", {is(0, SIGFPE)}},
      {SYS_rt_sigaction, "abort", {is(0, SIGABRT)}},

      // Idle, and threads that wait for each other.
      {SYS_clock_nanosleep, "idle = sleep, the ticker, the loader"},
      {SYS_nanosleep, "Rust's sleep"},
      {SYS_sched_yield, "idle = yield, spinning locks"},
      {SYS_futex, "the ticker sleeps, locks", {bits(1, kFutexCommand, FUTEX_WAIT)}},
      {SYS_futex, "the same, until a time", {bits(1, kFutexCommand, FUTEX_WAIT_BITSET)}},
      {SYS_futex, "whoever waits goes on", {bits(1, kFutexCommand, FUTEX_WAKE)}},
      {SYS_restart_syscall, "a sleep that SIGSTOP interrupted"},

      // The hand-over socket, and the code that comes over it.
#ifdef SYS_poll
      {SYS_poll, "waits for the data plane or SIGTERM"},
#endif
      {SYS_ppoll, "the same where there is no poll"},
      {SYS_recvmsg, "processes to load", {is(0, self.socket)}},
      {SYS_sendmsg, "what became of them", {is(0, self.socket)}},
      {SYS_fcntl, "whether code is sealed", {is(1, F_GET_SEALS)}},
      {SYS_lseek, "how long the code is"},
      {SYS_close, "code that was read"},

      // Clocks and randomness.
      {SYS_clock_gettime, "CPU time of the guests' thread"},
      {SYS_getrandom, "seeds of Rust's hash tables"},

      // Log lines.
      {SYS_write, "log lines", {is(0, STDERR_FILENO)}},
      {SYS_writev, "Rust's last words", {is(0, STDERR_FILENO)}},

      // The end.
      {SYS_exit, "a thread ends"},
      {SYS_exit_group, "the process ends"},
      {SYS_rt_sigprocmask, "a thread ends, abort"},
      {SYS_getpid, "abort"},
      {SYS_gettid, "abort"},
      {SYS_tgkill, "abort", {is(0, self.pid), is(2, SIGABRT)}},
  };
}

}  // namespace pgrid::worker
