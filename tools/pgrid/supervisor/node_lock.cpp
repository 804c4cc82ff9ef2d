#include "tools/pgrid/supervisor/node_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>

namespace pgrid::tools {
namespace {

constexpr char kLockFile[] = "up.lock";

}  // namespace

Result<NodeLock> NodeLock::take(const std::filesystem::path& run_dir) {
  std::error_code status;
  const bool made = std::filesystem::create_directories(run_dir, status);
  if (status)
    return fail_errno("make " + run_dir.string(), status.value(), "run as root, or choose a place with --node DIR");
  const std::filesystem::path path = run_dir / kLockFile;
  // Whoever ends a node removes the file; a lock on a file that is no longer there locks nobody out, so look again.
  for (;;) {
    UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (!file) return fail_errno("open " + path.string(), errno, "run as root, or choose a place with --node DIR");
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      std::string pid;
      std::ifstream(path) >> pid;
      return fail(Errc::busy, "a node is running at " + run_dir.string() + " already (process " + pid + ")", "",
                  "stop it first, or choose another place with --node DIR");
    }
    struct stat held {}, named {};
    if (::fstat(file.get(), &held) != 0 || ::stat(path.c_str(), &named) != 0 || held.st_ino != named.st_ino) continue;
    const std::string pid = std::to_string(::getpid()) + '\n';
    (void)!::ftruncate(file.get(), 0);
    (void)!::write(file.get(), pid.data(), pid.size());
    return NodeLock(run_dir, std::move(file), made);
  }
}

NodeLock::~NodeLock() {
  if (!file_) return;
  ::unlink((run_dir_ / kLockFile).c_str());
  if (made_) ::rmdir(run_dir_.c_str());  // stays when anything is left in it
}

}  // namespace pgrid::tools
