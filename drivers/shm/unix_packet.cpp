#include "drivers/shm/unix_packet.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace pgrid::shm {
namespace {

using Status = PacketOutcome::Status;

struct alignas(cmsghdr) ControlBuffer {
  char bytes[CMSG_SPACE(sizeof(int) * kPacketFdsMax)] = {};
};

/// Every descriptor that came with `message` gets an owner; those that do not fit are closed. False: some did not.
bool take_fds(msghdr& message, std::span<UniqueFd> fds, std::size_t& nb_fds) {
  bool fit = true;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      UniqueFd owned(fd);
      if (nb_fds < fds.size())
        fds[nb_fds++] = std::move(owned);
      else
        fit = false;
    }
  }
  return fit;
}

}  // namespace

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(Errc::invalid_argument, "use the Unix socket " + path,
                "longer than the " + std::to_string(sizeof address.sun_path - 1) + " bytes of a socket's path",
                "choose a shorter --node directory");
  std::memcpy(address.sun_path, path.c_str(), path.size());
  return address;
}

Result<UniqueFd> connect_unix_packet(const std::string& path) {
  const auto address = unix_address(path);
  if (!address) return std::unexpected(address.error());
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno("connect to " + path, errno);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0)
    return fail_errno("connect to " + path, errno);
  return fd;
}

PacketOutcome receive_packet(int socket, std::span<std::byte> room, std::span<UniqueFd> fds) {
  for (UniqueFd& fd : fds) fd.reset();
  ControlBuffer control;
  iovec part{room.data(), room.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  ssize_t n = 0;
  do n = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  if (n < 0) {
    const bool nothing = errno == EAGAIN || errno == EWOULDBLOCK;
    return {.status = nothing ? Status::would_block : Status::failed, .error = errno};
  }
  PacketOutcome outcome{.length = static_cast<std::size_t>(n)};
  const bool fit = take_fds(message, fds, outcome.nb_fds);
  if (n == 0)
    outcome.status = Status::closed;
  else if (!fit || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
    outcome.status = Status::too_long;
  return outcome;
}

PacketOutcome send_packet(int socket, std::span<const std::byte> bytes, std::span<const int> fds) {
  ControlBuffer control;
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  ssize_t n = 0;
  do n = ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  if (n >= 0) return {.length = static_cast<std::size_t>(n)};
  switch (errno) {
    case EAGAIN:
    case ENOBUFS:
    case ETOOMANYREFS:  // more descriptors under way than RLIMIT_NOFILE; they arrive when the other side reads
      return {.status = Status::would_block, .error = errno};
    case EPIPE:
    case ECONNRESET:
      return {.status = Status::closed, .error = errno};
    default:
      return {.status = Status::failed, .error = errno};
  }
}

}  // namespace pgrid::shm
