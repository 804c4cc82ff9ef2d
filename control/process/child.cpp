#include "control/process/child.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

extern char** environ;

namespace pgrid::control {
namespace {

Result<Bytes> read_all(int fd, std::uint64_t size_max) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return fail_errno("read what a child wrote", errno);
  Bytes bytes(std::min<std::uint64_t>(static_cast<std::uint64_t>(status.st_size), size_max));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("read what a child wrote", errno);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  bytes.resize(done);
  return bytes;
}

UniqueFd memory_file(const char* name) { return UniqueFd(::memfd_create(name, MFD_CLOEXEC)); }

}  // namespace

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      output_(std::move(other.output_)),
      text_(std::move(other.text_)) {}

Result<Child> Child::start(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                           std::span<const std::uint8_t> input_bytes) {
  const std::string operation = "start " + program.string();
  UniqueFd input = memory_file("child-input");
  Child child;
  child.output_ = memory_file("child-output");
  child.text_ = memory_file("child-text");
  if (!input || !child.output_ || !child.text_) return fail_errno(operation, errno);
  if (Result<void> written = write_all(input.get(), input_bytes); !written)
    return std::unexpected(written.error());
  if (::lseek(input.get(), 0, SEEK_SET) != 0) return fail_errno(operation, errno);

  std::vector<std::string> words{program.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&actions, input.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, child.output_.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, child.text_.get(), STDERR_FILENO);
  // Signals that control handles or ignores are the child's own affair.
  sigset_t none, defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  for (const int number : {SIGTERM, SIGINT, SIGPIPE}) sigaddset(&defaults, number);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const int error = ::posix_spawnp(&child.pid_, program.c_str(), &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    child.pid_ = -1;
    return fail_errno(operation, error, "build it, or set PGRID_LIBEXEC to the directory that holds it");
  }
  child.pidfd_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, child.pid_, 0)));
  if (!child.pidfd_) return fail_errno(operation + ": pidfd_open", errno);
  return child;
}

Child::~Child() {
  if (pid_ < 0) return;
  kill();
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Child::kill() {
  if (pid_ > 0) (void)::kill(pid_, SIGKILL);
}

Result<ChildResult> Child::collect(std::uint64_t output_max) {
  int status = 0;
  pid_t reaped = 0;
  do reaped = ::waitpid(pid_, &status, 0);
  while (reaped < 0 && errno == EINTR);
  if (reaped != pid_) return fail_errno("wait for a child", errno);
  pid_ = -1;
  ChildResult result;
  if (WIFEXITED(status)) result.status = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  Result<Bytes> output = read_all(output_.get(), output_max);
  if (!output) return std::unexpected(output.error());
  Result<Bytes> text = read_all(text_.get(), 4096);
  if (!text) return std::unexpected(text.error());
  result.output = std::move(*output);
  result.text.assign(text->begin(), std::find(text->begin(), text->end(), '\n'));
  return result;
}

}  // namespace pgrid::control
