#include "control/store/files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace pgrid::control {

Result<void> make_private_directory(const std::filesystem::path& path) {
  const std::string operation = "create directory " + path.string();
  std::error_code error;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  if (error) return fail_errno(operation, error.value(), "run as root, or pass --node DIR");
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return fail_errno(operation, errno, "run as root, or pass --node DIR");
  if (::chmod(path.c_str(), 0700) != 0) return fail_errno("set mode 0700 on " + path.string(), errno);
  return {};
}

Result<void> write_all(int fd, std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail_errno("write", n < 0 ? errno : ENOSPC, "free some space on that disk");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Result<Bytes> read_file(const std::filesystem::path& path, std::uint64_t size_max) {
  const std::string operation = "read " + path.string();
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(operation, errno);
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(operation, errno);
  if (static_cast<std::uint64_t>(status.st_size) > size_max)
    return fail(Errc::corrupt, operation, std::to_string(status.st_size) + " bytes, which is too large");
  Bytes bytes(static_cast<std::size_t>(status.st_size));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::read(fd.get(), bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(operation, errno);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  bytes.resize(done);
  return bytes;
}

Result<void> sync_directory(const std::filesystem::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return fail_errno("sync directory " + path.string(), errno);
  return {};
}

Result<UniqueFd> replace_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes) {
  const std::string operation = "write " + path.string();
  std::filesystem::path fresh = path;
  fresh += ".new";
  UniqueFd fd(::open(fresh.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
  if (!fd) return fail_errno(operation, errno);
  const auto give_up = [&](Error error) -> Result<UniqueFd> {
    ::unlink(fresh.c_str());
    error.operation = operation;
    return std::unexpected(std::move(error));
  };
  if (Result<void> written = write_all(fd.get(), bytes); !written) return give_up(written.error());
  if (::fsync(fd.get()) != 0) return give_up(fail_errno(operation, errno).error());
  if (::rename(fresh.c_str(), path.c_str()) != 0) return give_up(fail_errno(operation, errno).error());
  if (Result<void> synced = sync_directory(path.parent_path()); !synced)
    return std::unexpected(synced.error());
  return fd;
}

Result<UniqueFd> lock_file(const std::filesystem::path& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("open " + path.string(), errno);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno("lock " + path.string(), errno);
    return fail(Errc::busy, "lock " + path.string(), "another pgrid-control owns this state directory",
                "stop it first, or choose another directory with --node DIR");
  }
  return fd;
}

}  // namespace pgrid::control
