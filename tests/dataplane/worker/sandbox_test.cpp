// Shows what a worker can no longer do once it runs guests: every system call that is not on its list ends it (SIGSYS), in
// every thread, and so does every argument that the list does not allow; those on the list still work. What it was started
// with is gone: capabilities, the way to new ones, core dumps, descriptors. Each case is a child process.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <thread>

#include "dataplane/worker/sandbox.hpp"
#include "dataplane/worker/system_calls.hpp"

namespace pgrid::worker {
namespace {

constexpr long kNumbers = 1024;  // Linux 6.18 has calls up to 469; numbers beyond are nobody's, and not on the list either
constexpr int kSurvived = 42;
constexpr int kNoSandbox = 43;

const int kSocket = [] {
  int ends[2];
  return ::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0 ? ends[0] : -1;
}();

/// What became of a child that ran `what`: its exit status, or minus the signal.
int ending_of(const std::function<int()>& what) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(what());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/// With the list as it is committed, also in a build whose sanitizer makes the worker's own longer.
bool enter() {
  const int kept[] = {kSocket};
  return drop_privileges(kept) && sandbox::enter_filter(worker_system_calls({.pid = ::getpid(), .socket = kSocket}));
}

int inside(const std::function<void()>& what) {
  return ending_of([&] {
    if (!enter()) return kNoSandbox;
    what();
    return kSurvived;
  });
}
/// The same, of one call.
template <typename... Arguments>
int calling(long number, Arguments... arguments) {
  return inside([=] { (void)::syscall(number, arguments...); });
}

std::set<long> listed() {
  std::set<long> numbers;
  for (const auto& call : worker_system_calls({.pid = 1, .socket = 3})) numbers.insert(call.number);
  return numbers;
}

TEST(Sandbox, CallsThatAreNotListedEndTheProcess) {
  const std::set<long> allowed = listed();
  // Linux lets no filter see these two (uretprobe, uprobe: x86-64, since 6.11 and 6.18); they serve the kernel's own
  // trampolines and end or ignore whoever else calls them.
  const std::set<long> unseen = {335, 336};
  for (long number = 0; number < kNumbers; ++number)
    if (!allowed.contains(number) && !unseen.contains(number)) {
      EXPECT_EQ(calling(number, 0, 0, 0, 0, 0, 0), -SIGSYS) << "system call " << number;
    }
}

TEST(Sandbox, TheListHasNothingDangerous) {
  const std::set<long> allowed = listed();
  for (const long number :
       {SYS_openat,       SYS_openat2,     SYS_socket,           SYS_socketpair,        SYS_connect,      SYS_bind,
        SYS_accept4,      SYS_execve,      SYS_execveat,         SYS_clone,             SYS_clone3,       SYS_ptrace,
        SYS_process_vm_readv, SYS_process_vm_writev, SYS_io_uring_setup, SYS_bpf,       SYS_keyctl,       SYS_userfaultfd,
        SYS_memfd_create, SYS_kill,        SYS_prctl,            SYS_setrlimit,         SYS_prlimit64,    SYS_ioctl,
        SYS_dup,          SYS_unshare,     SYS_setns,            SYS_mount,             SYS_perf_event_open, SYS_pidfd_getfd,
        SYS_sched_setaffinity, SYS_newfstatat, SYS_seccomp,      SYS_mlock,             SYS_shmget,       SYS_sendto})
    EXPECT_FALSE(allowed.contains(number)) << "system call " << number;
}

TEST(Sandbox, CallsThatAreListedWork) {
  static timespec nothing{};
  static char byte = 0;
  static std::uint32_t word = 0;
  static void* const page = ::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const std::set<long> apart = {SYS_rt_sigreturn, SYS_exit, SYS_exit_group, SYS_tgkill};  // end what runs: below
  std::set<long> tried = apart;
  const auto works = [&tried](long number, auto... arguments) {
    tried.insert(number);
    EXPECT_EQ(calling(number, arguments...), kSurvived) << "system call " << number;
  };
  works(SYS_brk, 0);
  works(SYS_mmap, nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  works(SYS_mmap, nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  works(SYS_mprotect, page, 4096, PROT_READ | PROT_EXEC);
  works(SYS_mprotect, page, 4096, PROT_READ | PROT_WRITE);
  works(SYS_mremap, page, 8192, 16384, MREMAP_MAYMOVE);
  works(SYS_munmap, page, 4096);
  works(SYS_madvise, page, 4096, MADV_DONTNEED);
  works(SYS_process_madvise, -10000, nullptr, 0, MADV_DONTNEED, 0);
  works(SYS_sigaltstack, nullptr, nullptr);
  for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) works(SYS_rt_sigaction, signal, nullptr, nullptr, 8);
  works(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &nothing, nullptr);
  works(SYS_nanosleep, &nothing, nullptr);
  works(SYS_sched_yield);
  for (const int operation : {FUTEX_WAIT, FUTEX_WAIT_PRIVATE, FUTEX_WAKE, FUTEX_WAKE_PRIVATE, FUTEX_WAIT_BITSET,
                              FUTEX_WAIT_BITSET_PRIVATE, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME})
    works(SYS_futex, &word, operation, 1, &nothing, nullptr, FUTEX_BITSET_MATCH_ANY);
  works(SYS_restart_syscall);
#ifdef SYS_poll
  works(SYS_poll, nullptr, 0, 0);
#endif
  works(SYS_ppoll, nullptr, 0, &nothing, nullptr, 8);
  works(SYS_recvmsg, kSocket, nullptr, MSG_DONTWAIT);
  works(SYS_sendmsg, kSocket, nullptr, MSG_DONTWAIT);
  works(SYS_fcntl, kSocket, F_GET_SEALS);
  works(SYS_lseek, kSocket, 0, SEEK_END);
  works(SYS_close, kSocket);
  works(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &nothing);
  works(SYS_getrandom, &byte, 1, 0);
  works(SYS_write, STDERR_FILENO, &byte, 0);
  works(SYS_writev, STDERR_FILENO, nullptr, 0);
  works(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, nullptr, 8);
  works(SYS_getpid);
  works(SYS_gettid);
  EXPECT_EQ(inside([] { ::syscall(SYS_exit, 5); }), 5);
  EXPECT_EQ(inside([] { ::syscall(SYS_exit_group, 6); }), 6);
  EXPECT_EQ(inside([] { ::abort(); }), -SIGABRT);
  std::set<long> untried;
  for (const long number : listed())
    if (!tried.contains(number)) untried.insert(number);
  EXPECT_EQ(untried, std::set<long>()) << "on the list, and not tried here";
}

volatile sig_atomic_t caught = 0;
void leave_page_alone(int, siginfo_t* info, void*) {
  caught = 1;
  ::mprotect(info->si_addr, 4096, PROT_READ | PROT_WRITE);  // the address is a page's first byte
}

TEST(Sandbox, FaultsAreHandledAndReturnedFrom) {
  EXPECT_EQ(ending_of([] {
              auto* page = static_cast<volatile char*>(::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
              struct sigaction action {};
              action.sa_sigaction = leave_page_alone;
              action.sa_flags = SA_SIGINFO;
              ::sigaction(SIGSEGV, &action, nullptr);
              if (!enter()) return kNoSandbox;
              page[0] = 1;
              return caught == 1 && page[0] == 1 ? kSurvived : 1;
            }),
            kSurvived);
}

TEST(Sandbox, ArgumentsThatAreNotListedEndTheProcess) {
  static std::uint32_t word = 0;
  static void* const page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  constexpr int kAnonymous = MAP_PRIVATE | MAP_ANONYMOUS;
  const auto ends = [](const char* what, long number, auto... arguments) {
    EXPECT_EQ(calling(number, arguments...), -SIGSYS) << what;
  };
  ends("memory that is born executable", SYS_mmap, nullptr, 4096, PROT_READ | PROT_EXEC, kAnonymous, -1, 0);
  ends("shared memory", SYS_mmap, nullptr, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ends("shared memory, validated", SYS_mmap, nullptr, 4096, PROT_READ, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0);
  ends("writable and executable", SYS_mprotect, page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
  ends("moved to a fixed place", SYS_mremap, page, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, page);
  ends("holes in shared memory", SYS_madvise, page, 4096, MADV_REMOVE);
  ends("advice about another process", SYS_process_madvise, kSocket, nullptr, 0, MADV_DONTNEED, 0);
  ends("other advice", SYS_process_madvise, -10000, nullptr, 0, MADV_COLD, 0);
  ends("a handler of SIGTERM", SYS_rt_sigaction, SIGTERM, nullptr, nullptr, 8);
  ends("a handler of SIGSYS", SYS_rt_sigaction, SIGSYS, nullptr, nullptr, 8);
  ends("a futex with priorities", SYS_futex, &word, FUTEX_LOCK_PI, 0, nullptr, nullptr, 0);
  ends("a futex that is moved", SYS_futex, &word, FUTEX_CMP_REQUEUE_PRIVATE, 0, nullptr, &word, 0);
  ends("another descriptor's messages", SYS_recvmsg, STDERR_FILENO, nullptr, 0);
  ends("messages to another descriptor", SYS_sendmsg, STDERR_FILENO, nullptr, 0);
  ends("duplicated descriptors", SYS_fcntl, kSocket, F_DUPFD, 0);
  ends("changed descriptors", SYS_fcntl, kSocket, F_SETFL, 0);
  ends("words on standard output", SYS_write, STDOUT_FILENO, "", 0);
  ends("words to the socket", SYS_write, kSocket, "", 0);
  ends("more words to the socket", SYS_writev, kSocket, nullptr, 0);
  ends("a signal to the parent", SYS_tgkill, ::getpid(), ::getpid(), 0);
  EXPECT_EQ(inside([] { ::syscall(SYS_tgkill, ::getpid(), ::gettid(), SIGUSR1); }), -SIGSYS) << "another signal to itself";
}

#if defined(__x86_64__)
TEST(Sandbox, OtherArchitecturesEndTheProcess) {
  constexpr long kX32 = 0x4000'0000;
  EXPECT_EQ(calling(kX32 | SYS_getpid), -SIGSYS);
  EXPECT_EQ(calling(kX32 | SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY), -SIGSYS);
  EXPECT_EQ(inside([] {
              long number = 20;  // getpid of 32-bit programs
              asm volatile("int $0x80" : "+a"(number) : : "memory");
            }),
            -SIGSYS);
}
#endif

TEST(Sandbox, HoldsForThreadsThatWereThereBefore) {
  EXPECT_EQ(ending_of([] {
              std::atomic<bool> go = false;
              const int kept[] = {kSocket};
              if (!drop_privileges(kept)) return kNoSandbox;
              std::thread other([&] {
                while (!go) std::this_thread::yield();
                (void)::syscall(SYS_getppid);
              });
              if (!enter_sandbox(kSocket)) return kNoSandbox;
              go = true;
              other.join();
              return kSurvived;
            }),
            -SIGSYS);
}

TEST(Sandbox, NeedsNoNewPrivileges) {
  EXPECT_EQ(ending_of([] {
              const std::uint64_t root = ::geteuid();
              if (root == 0 && ::setresuid(65534, 65534, 65534) != 0) return 1;  // root may filter without
              const auto entered = enter_sandbox(kSocket);
              return !entered && entered.error().sentence().find("seccomp") != std::string::npos ? kSurvived : 2;
            }),
            kSurvived);
}

/// A line of /proc/self/status.
std::string status_line(const std::string& name) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name + ":\t")) return line.substr(name.size() + 2);
  return "no line " + name;
}

TEST(Sandbox, PrivilegesAreGone) {
  const bool had_them = status_line("CapEff") != "0000000000000000";
  EXPECT_EQ(ending_of([&] {
              const int kept[] = {kSocket};
              if (!drop_privileges(kept)) return kNoSandbox;
              for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"})
                if (status_line(set) != "0000000000000000") return 1;
              if (had_them && status_line("CapBnd") != "0000000000000000") return 2;
              if (status_line("NoNewPrivs") != "1") return 3;
              if (::prctl(PR_GET_DUMPABLE) != 0) return 4;
              rlimit core{1, 1};
              if (::getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0) return 5;
              if (had_them && ::chown("/dev/null", 0, 0) == 0 && ::setpriority(PRIO_PROCESS, 0, -1) == 0) return 6;
              return kSurvived;
            }),
            kSurvived);
}

TEST(Sandbox, DescriptorsAreGone) {
  const int other = ::open("/dev/zero", O_RDONLY);
  ASSERT_GT(other, kSocket);
  EXPECT_EQ(ending_of([] {
              const int kept[] = {kSocket};
              if (!drop_privileges(kept)) return kNoSandbox;
              for (int fd = 0; fd < 1024; ++fd)
                if ((::fcntl(fd, F_GETFD) >= 0) != (fd <= STDERR_FILENO || fd == kSocket)) return 1;
              char name[32] = {};
              if (::readlink("/proc/self/fd/0", name, sizeof name - 1) > 0 && std::strcmp(name, "/dev/null") != 0) return 2;
              return kSurvived;
            }),
            kSurvived);
  ::close(other);
}

}  // namespace
}  // namespace pgrid::worker
