// pgrid-compile: module on stdin, image on stdout, a refusal as one sentence on stderr. A child of control, with limits of
// its own: a module that stalls or swells the compiler ends this process and nothing else.
//
//   pgrid-compile --memory BYTES     exit 0: compiled; 1: refused or failed; 2: wrong arguments
//   pgrid-compile --fingerprint      prints what images depend on: Wasmtime's version, configuration, CPU
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "control/code/compile.hpp"
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

constexpr rlim_t kCpuSeconds = 120;           // over all its threads; an 8 MiB module takes some 20
[[maybe_unused]] constexpr rlim_t kAddressSpace = 8ull << 30;  // bytes: 4 GiB reserved for one pool place, the rest for compiling
constexpr rlim_t kFileSize = 1ull << 30;      // bytes of the image
constexpr rlim_t kFiles = 64;
constexpr int kNice = 10;                     // poll and worker cores go first
constexpr std::size_t kModuleMax = 64u << 20; // bytes; the most that node.toml allows

void limit(int resource, rlim_t value) {
  const rlimit both{value, value};
  (void)::setrlimit(static_cast<__rlimit_resource_t>(resource), &both);  // lower limits that are there already hold
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
    if (used > kModuleMax) return fail(Errc::invalid_argument, "the module is refused", "it is larger than 64 MiB");
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

int compile(std::uint64_t memory_bytes) {
  const auto module = read_all(STDIN_FILENO);
  if (!module) return say(module.error().sentence(), 1);
  const auto image = pgrid::control::compile_function(*module, memory_bytes);
  if (!image) return say(image.error().sentence(), 1);
  if (auto written = write_all(STDOUT_FILENO, *image); !written) return say(written.error().sentence(), 1);
  return 0;
}

}  // namespace

int main(int count, char** values) {
  const std::vector<std::string_view> arguments(values + 1, values + count);
  if (arguments.size() == 1 && arguments[0] == "--fingerprint") {
    std::printf("%s\n", pgrid::wasm::engine_fingerprint().c_str());
    return 0;
  }
  std::uint64_t memory_bytes = 0;
  const bool asks = arguments.size() == 2 && arguments[0] == "--memory";
  const std::string_view number = asks ? arguments[1] : "";
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), memory_bytes);
  if (!asks || error != std::errc() || end != number.data() + number.size() || memory_bytes == 0)
    return say("give --memory BYTES, or --fingerprint; the module comes on stdin, the image goes to stdout", 2);

  limit(RLIMIT_CPU, kCpuSeconds);
#if !defined(__SANITIZE_ADDRESS__) && !PGRID_CLANG_ASAN  // whose shadow takes 16 TiB of addresses
  limit(RLIMIT_AS, kAddressSpace);
#endif
  limit(RLIMIT_FSIZE, kFileSize);
  limit(RLIMIT_NOFILE, kFiles);
  limit(RLIMIT_CORE, 0);
  ::signal(SIGXFSZ, SIG_IGN);  // write fails instead, and says so
  (void)::setpriority(PRIO_PROCESS, 0, kNice);
  return compile(memory_bytes);
}
