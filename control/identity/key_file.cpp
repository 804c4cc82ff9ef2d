#include "control/identity/key_file.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "drivers/base/unique_fd.hpp"

namespace pgrid::identity {
namespace {

constexpr mode_t kOthers = 077;

Result<void> sync_directory_of(const std::filesystem::path& path) {
  const std::filesystem::path parent = path.has_parent_path() ? path.parent_path() : ".";
  const UniqueFd directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0) return fail_errno("sync " + parent.string(), errno);
  return {};
}

}  // namespace

Result<Seed> read_key_file(const std::filesystem::path& path) {
  const std::string name = "key " + path.string();
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file && errno == ELOOP)
    return fail(Errc::not_permitted, name, "is a symbolic link", "put the key itself there");
  if (!file) return fail_errno(name, errno);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return fail_errno(name, errno);
  if (!S_ISREG(status.st_mode)) return fail(Errc::corrupt, name, "is no file", "put a key of 32 bytes there");
  if (status.st_uid != ::geteuid())
    return fail(Errc::not_permitted, name, "belongs to another user", "chown it to the user that runs this");
  if ((status.st_mode & kOthers) != 0)
    return fail(Errc::not_permitted, name, "others may read or change it", "chmod 600 " + path.string());
  Seed seed{};
  if (status.st_size != static_cast<off_t>(seed.size()) ||
      ::read(file.get(), seed.data(), seed.size()) != static_cast<ssize_t>(seed.size()))
    return fail(
        Errc::corrupt, name, "has " + std::to_string(status.st_size) + " bytes, not 32",
        "put a copy of it back; without one, remove it and a new key is made, to which no old token leads");
  return seed;
}

Result<Seed> make_key_file(const std::filesystem::path& path) {
  const std::string name = "make key " + path.string();
  // Under another name first: a crash leaves either no key or a whole one.
  const std::string draft = path.string() + ".new";
  (void)::unlink(draft.c_str());
  const UniqueFd file(::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return fail_errno(name, errno);
  Seed seed;
  randombytes_buf(seed.data(), seed.size());
  const bool is_written =
      ::write(file.get(), seed.data(), seed.size()) == static_cast<ssize_t>(seed.size()) &&
      ::fsync(file.get()) == 0;
  // link() does not replace what is there, as rename() would.
  const bool is_placed = is_written && ::link(draft.c_str(), path.c_str()) == 0;
  const int error = errno;
  (void)::unlink(draft.c_str());
  if (!is_placed) return fail_errno(name, error);
  if (const Result<void> synced = sync_directory_of(path); !synced) return std::unexpected(synced.error());
  return seed;
}

}  // namespace pgrid::identity
