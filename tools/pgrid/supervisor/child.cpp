#include "tools/pgrid/supervisor/child.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace pgrid::tools {
namespace {

constexpr std::size_t kLineMax = 4096;  // bytes; a longer line is cut into several

/// In the new process, between fork and exec: only async-signal-safe calls.
[[noreturn]] void become(char* const* argv, int output, int input, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it died before the line above
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::dup2(input, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::execv(argv[0], argv);
  const char* text = ::strerrordesc_np(errno);
  for (const char* part : {"cannot run ", const_cast<const char*>(argv[0]), ": ", text, "\n"})
    (void)!::write(STDERR_FILENO, part, ::strlen(part));
  ::_exit(2);
}

}  // namespace

bool Ending::exited_with(int code) const { return WIFEXITED(status) && WEXITSTATUS(status) == code; }

std::string Ending::text() const {
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) return "made a system call that is not on its list (signal 31)";
  if (WIFSIGNALED(status)) return "was killed by signal " + std::to_string(WTERMSIG(status));
  return "exited with " + std::to_string(WEXITSTATUS(status));
}

Result<void> Child::start() {
  const std::string operation = "start " + spec_.argv.front();
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(operation + ": pipe", errno);
  UniqueFd reader(ends[0]), writer(ends[1]);
  UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!nothing) return fail_errno(operation + ": open /dev/null", errno);
  ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
  std::vector<char*> argv;
  for (std::string& word : spec_.argv) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno(operation + ": fork", errno);
  if (pid == 0) become(argv.data(), writer.get(), nothing.get(), parent);
  pid_ = pid;
  output_ = std::move(reader);
  partial_.clear();
  held_.clear();
  ready = false;
  slowness_said = false;
  kill_at = Clock::time_point::max();
  started_at = Clock::now();
  ++starts;
  return {};
}

void Child::signal(int number) const {
  if (running()) ::kill(pid_, number);
}

void Child::take_line(std::string line, const std::function<void(const std::string&)>& relay) {
  if (line.empty()) return;
  if (!ready && line.starts_with(spec_.ready_mark)) {
    ready = was_ready = true;
    if (!held_.empty()) relay(held_);
    held_.clear();
    return;
  }
  if (!ready) std::swap(line, held_);
  if (!line.empty()) relay(line);
}

void Child::read_output(const std::function<void(const std::string&)>& relay) {
  char bytes[4096];
  while (output_) {
    const ssize_t n = ::read(output_.get(), bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return;  // nothing more now
    if (n == 0) return output_.reset();
    partial_.append(bytes, static_cast<std::size_t>(n));
    for (std::size_t end; (end = std::min(partial_.find('\n'), kLineMax)) < partial_.size();) {
      take_line(partial_.substr(0, end), relay);
      partial_.erase(0, end + (partial_[end] == '\n' ? 1 : 0));
    }
  }
}

std::string Child::ended(const std::function<void(const std::string&)>& relay) {
  read_output(relay);
  take_line(std::exchange(partial_, {}), relay);
  output_.reset();
  pid_ = -1;
  ready = false;
  std::string line = std::exchange(held_, {});
  if (const std::size_t colon = line.find(": "); line.starts_with("pgrid-") && colon != std::string::npos)
    line.erase(0, colon + 2);
  return line;
}

}  // namespace pgrid::tools
