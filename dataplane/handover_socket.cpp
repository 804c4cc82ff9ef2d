#include "dataplane/handover_socket.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>

#include "drivers/shm/unix_packet.hpp"

namespace pgrid::dataplane {

using Status = shm::PacketOutcome::Status;

HandoverSocket::Received HandoverSocket::receive(Datagram& datagram) {
  const auto outcome = shm::receive_packet(fd_.get(), datagram.bytes, datagram.fds);
  datagram.length = outcome.length;
  datagram.nb_fds = outcome.nb_fds;
  switch (outcome.status) {
    case Status::done:
      return Received::datagram;
    case Status::would_block:
      return Received::nothing;
    default:
      return Received::closed;
  }
}

HandoverSocket::Sent HandoverSocket::try_send(std::span<const std::byte> bytes,
                                              std::span<const int> fds) const {
  switch (shm::send_packet(fd_.get(), bytes, fds).status) {
    case Status::done:
      return Sent::yes;
    case Status::would_block:
      return Sent::would_block;
    default:
      return Sent::failed;
  }
}

bool HandoverSocket::send_bytes(std::span<const std::byte> bytes, std::span<const int> fds) {
  if (!fd_ || fds.size() > kHandoverFds) return false;
  if (waiting_.empty()) {
    const Sent sent = try_send(bytes, fds);
    if (sent != Sent::would_block) return sent == Sent::yes;
  }
  if (waiting_.size() >= kHandoverQueue) return false;
  Waiting waiting;
  waiting.bytes.assign(bytes.begin(), bytes.end());
  for (const int fd : fds) {
    UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy) return false;
    waiting.fds.push_back(std::move(copy));
  }
  waiting_.push_back(std::move(waiting));
  return true;
}

bool HandoverSocket::flush() {
  while (!waiting_.empty()) {
    int fds[kHandoverFds];
    const Waiting& next = waiting_.front();
    for (std::size_t i = 0; i < next.fds.size(); ++i) fds[i] = next.fds[i].get();
    const Sent sent = try_send(next.bytes, std::span(fds, next.fds.size()));
    if (sent == Sent::would_block) return true;
    if (sent == Sent::failed) return false;
    waiting_.pop_front();
  }
  return true;
}

Result<HandoverSocket::Peer> HandoverSocket::peer() const {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0)
    return fail_errno("ask who connected (SO_PEERCRED)", errno);
  return Peer{credentials.pid, credentials.uid};
}

Result<UniqueFd> listen_at(const std::string& path) {
  const std::string operation = "listen at " + path;
  const auto address = shm::unix_address(path);
  if (!address) return std::unexpected(address.error());
  const auto* generic = reinterpret_cast<const sockaddr*>(&*address);

  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(operation, errno);
  {
    UniqueFd probe(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (::connect(probe.get(), generic, sizeof *address) == 0 || errno == EAGAIN)
      return fail(Errc::already_exists, operation, "a data plane of this node is running already",
                  "stop it, or choose another --node directory");
  }
  ::unlink(path.c_str());  // of one that died
  const mode_t mask = ::umask(0177);
  const int bound = ::bind(fd.get(), generic, sizeof *address);
  const int error = errno;
  ::umask(mask);
  if (bound != 0) return fail_errno(operation, error);
  if (::listen(fd.get(), 64) != 0) return fail_errno(operation, errno);
  return fd;
}

}  // namespace pgrid::dataplane
