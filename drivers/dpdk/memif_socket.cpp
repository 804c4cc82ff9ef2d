#include "drivers/dpdk/memif_socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "drivers/base/unique_fd.hpp"

namespace pgrid::dpdk {
namespace {

/// 0 when a memif server has the socket, else an errno: ECONNREFUSED when nobody has it any more. Asks with
/// the wrong type of socket, so that no connection is made: DPDK's server panics on one that ends at once.
int ask_for_server(const std::string& path) {
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un name{.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(name.sun_path, sizeof name.sun_path - 1);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0) return EEXIST;
  return errno == EPROTOTYPE ? 0 : errno;
}

Result<void> prepare_server(const DeviceSpec& spec, const std::string& operation) {
  const std::filesystem::path folder = std::filesystem::path(spec.socket).parent_path();
  if (::access(folder.c_str(), R_OK | W_OK | X_OK) != 0)
    return fail_errno(operation + ": folder " + folder.string(), errno, "make it, or name another");
  struct stat about{};
  if (::lstat(spec.socket.c_str(), &about) != 0) return {};
  if (!S_ISSOCK(about.st_mode))
    return fail(Errc::already_exists, operation, "there is a file of that name", "name another path");
  const int refused = ask_for_server(spec.socket);
  if (refused == 0)
    return fail(Errc::busy, operation, "somebody listens there already",
                "give each memif port a path of its own");
  if (refused != ECONNREFUSED) return fail_errno(operation, refused);
  if (::unlink(spec.socket.c_str()) != 0) return fail_errno(operation + ": remove the old one", errno);
  return {};
}

}  // namespace

Result<void> prepare_memif_socket(const DeviceSpec& spec) {
  const std::string operation = "memif socket " + spec.socket;
  if (spec.is_server) return prepare_server(spec, operation);
  switch (const int refused = ask_for_server(spec.socket)) {
    case 0:
      return {};
    case ENOENT:
    case ECONNREFUSED:
      return fail(Errc::unavailable, operation, "nobody listens there",
                  "start the side with role=server first");
    default:
      return fail_errno(operation, refused);
  }
}

}  // namespace pgrid::dpdk
