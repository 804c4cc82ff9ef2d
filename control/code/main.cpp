// pgrid-compile: module on stdin, verdict and image on stdout, a refusal as one sentence on stderr. A child
// of control and of `pgrid verify`, with limits of its own: a module that stalls or swells the analysis or
// the compiler ends this process and nothing else.
//
//   pgrid-compile [--verify] --memory BYTES   exit 0: the verdict, JSON on one line; then the image, unless
//   only to verify
//                                             1: refused or failed; 2: wrong arguments
//   pgrid-compile --fingerprint               prints what images depend on: Wasmtime's version,
//   configuration, CPU
#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/code/compile.hpp"
#include "drivers/sandbox/privileges.hpp"
#include "drivers/wasm/engine.hpp"

#if defined(__has_feature)
#define PGRID_CLANG_ASAN __has_feature(address_sanitizer)
#else
#define PGRID_CLANG_ASAN 0
#endif

namespace {

using pgrid::Errc;
using pgrid::fail;
using pgrid::Result;

constexpr std::size_t kMiB = 1u << 20;
// CPU time over all threads. A module of 1 MiB takes some 2 s (bench/control/verify); 7 kB of nested loops
// would take 39.
constexpr rlim_t kCpuSeconds = 15, kCpuSecondsPerMiB = 15, kCpuSecondsMax = 120;
// What can be written to: a module of 1 MiB takes some 20 MiB.
[[maybe_unused]] constexpr rlim_t kDataBytes = 256 * kMiB, kDataBytesPerByte = 64;
[[maybe_unused]] constexpr rlim_t kReserved =
    6ull << 30;  // addresses besides: 4 GiB and guards for one pool place, stacks, arenas
constexpr rlim_t kFileSize = 1ull << 30;  // bytes of the image
constexpr rlim_t kFiles = 64;
constexpr int kNice = 10;                      // poll and worker cores go first
constexpr std::size_t kModuleMax = 64u << 20;  // bytes; the most that node.toml allows

void limit(int resource, rlim_t value) {
  const rlimit both{value, value};
  (void)::setrlimit(static_cast<__rlimit_resource_t>(resource),
                    &both);  // lower limits that are there already hold
}

int say(const std::string& sentence, int status) {
  std::fprintf(stderr, "pgrid-compile: %s\n", sentence.c_str());
  return status;
}

Result<std::vector<std::byte>> read_all(int fd) {
  std::vector<std::byte> bytes;
  for (std::size_t used = 0;;) {
    bytes.resize(used + (1u << 20));
    const ssize_t n = ::read(fd, bytes.data() + used, bytes.size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return pgrid::fail_errno("read the module", errno);
    used += static_cast<std::size_t>(n);
    if (used > kModuleMax)
      return fail(Errc::invalid_argument, "the module is refused", "it is larger than 64 MiB");
    if (n == 0) {
      bytes.resize(used);
      return bytes;
    }
  }
}

Result<void> write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno != EINTR) return pgrid::fail_errno("write the image", errno);
    if (n > 0) bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

/// What a module of that size may cost.
void limit_for(std::size_t module_bytes) {
  const rlim_t seconds = kCpuSeconds + kCpuSecondsPerMiB * module_bytes / kMiB;
  limit(RLIMIT_CPU, std::min(seconds, kCpuSecondsMax));
#if !defined(__SANITIZE_ADDRESS__) && !PGRID_CLANG_ASAN  // whose shadow takes 16 TiB of addresses
  const rlim_t data = kDataBytes + kDataBytesPerByte * module_bytes;
  limit(RLIMIT_DATA, data);
  limit(RLIMIT_AS, kReserved + data);
#endif
}

int check_here(std::uint64_t memory_bytes, pgrid::control::Effort effort) {
  const auto module = read_all(STDIN_FILENO);
  if (!module) return say(module.error().sentence(), 1);
  limit_for(module->size());
  // Give back what is freed, and keep few heaps: for 1 MiB of module that is 27 MB instead of 34
  // (bench/control/verify).
  (void)::mallopt(M_ARENA_MAX, 2);
  (void)::mallopt(M_TRIM_THRESHOLD, 64 << 10);
  (void)::mallopt(M_MMAP_THRESHOLD, 64 << 10);
  auto compiled = pgrid::control::check_function(*module, memory_bytes, effort);
  if (!compiled) return say(compiled.error().sentence(), 1);
  compiled->verdict += '\n';
  for (const std::span<const std::byte> part :
       {std::as_bytes(std::span(compiled->verdict)), std::span<const std::byte>(compiled->image)})
    if (auto written = write_all(STDOUT_FILENO, part); !written) return say(written.error().sentence(), 1);
  return 0;
}

/// What a person is told when a limit, or a fault, has ended the child.
std::string sentence_of(int signal) {
  const std::string remedy = "; make it smaller, or its functions less deeply nested";
  if (signal == SIGXCPU || signal == SIGKILL)
    return "the module is refused: checking or compiling it takes more CPU time than a module of its size "
           "may cost" +
           remedy;
  if (signal == SIGABRT)
    return "the module is refused: checking or compiling it takes more memory than a module of its size may "
           "cost" +
           remedy;
  return "the module is refused: it breaks the checker or the compiler (signal " + std::to_string(signal) +
         "), a process of its own that nothing else depends on" + remedy;
}

/// The work is done in a child of ours, whose end by a signal becomes a sentence. What it says itself counts
/// only if it ends well: libraries write long farewells.
int check(std::uint64_t memory_bytes, pgrid::control::Effort effort) {
  const int text = ::memfd_create("pgrid-compile-text", MFD_CLOEXEC);
  if (text < 0) return say(pgrid::fail_errno("start the checker", errno).error().sentence(), 1);
  const pid_t child = ::fork();
  if (child < 0) return say(pgrid::fail_errno("start the checker", errno).error().sentence(), 1);
  if (child == 0) {
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)::dup2(text, STDERR_FILENO);
    const int status = check_here(memory_bytes, effort);
    std::fflush(nullptr);
    ::_exit(status);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) return say(sentence_of(WTERMSIG(status)), 1);
  char said[4096];
  const ssize_t length = ::pread(text, said, sizeof said, 0);
  if (length > 0) std::fwrite(said, 1, static_cast<std::size_t>(length), stderr);
  return WEXITSTATUS(status);
}

}  // namespace

int main(int count, char** values) {
  std::vector<std::string_view> arguments(values + 1, values + count);
  if (arguments.size() == 1 && arguments[0] == "--fingerprint") {
    std::printf("%s\n", pgrid::wasm::engine_fingerprint().c_str());
    return 0;
  }
  const bool only_verify = !arguments.empty() && arguments[0] == "--verify";
  if (only_verify) arguments.erase(arguments.begin());
  std::uint64_t memory_bytes = 0;
  const bool asks = arguments.size() == 2 && arguments[0] == "--memory";
  const std::string_view number = asks ? arguments[1] : "";
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), memory_bytes);
  if (!asks || error != std::errc() || end != number.data() + number.size() || memory_bytes == 0)
    return say(
        "give [--verify] --memory BYTES, or --fingerprint; the module comes on stdin, verdict and image go "
        "to stdout",
        2);

  limit(RLIMIT_FSIZE, kFileSize);
  limit(RLIMIT_NOFILE, kFiles);
  limit(RLIMIT_CORE, 0);
  ::signal(SIGXFSZ, SIG_IGN);  // write fails instead, and says so
  (void)::setpriority(PRIO_PROCESS, 0, kNice);
  if (auto dropped = pgrid::sandbox::give_up_capabilities(); !dropped)
    return say(dropped.error().sentence(), 1);
  return check(memory_bytes,
               only_verify ? pgrid::control::Effort::verify_only : pgrid::control::Effort::compile);
}
