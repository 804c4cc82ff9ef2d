#include "dataplane/handover_socket.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>

namespace pgrid::dataplane {

HandoverSocket::Received HandoverSocket::receive(Datagram& datagram) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kHandoverFds)];
  iovec part{datagram.bytes.data(), datagram.bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;

  ssize_t n = 0;
  do n = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? Received::nothing : Received::closed;

  datagram.length = static_cast<std::size_t>(n);
  datagram.nb_fds = 0;
  for (UniqueFd& fd : datagram.fds) fd.reset();
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      UniqueFd owned(fd);
      if (datagram.nb_fds < kHandoverFds) datagram.fds[datagram.nb_fds++] = std::move(owned);
    }
  }
  if (n == 0 || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return Received::closed;
  return Received::datagram;
}

HandoverSocket::Sent HandoverSocket::try_send(std::span<const std::byte> bytes,
                                              std::span<const int> fds) const {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kHandoverFds)] = {};
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  ssize_t n = 0;
  do n = ::sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  if (n >= 0) return Sent::yes;
  // ETOOMANYREFS: more descriptors under way than RLIMIT_NOFILE; they arrive when the peer reads.
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ETOOMANYREFS
             ? Sent::would_block
             : Sent::failed;
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
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(
        Errc::invalid_argument, operation,
        "longer than the " + std::to_string(sizeof address.sun_path - 1) + " bytes of a Unix socket's path",
        "choose a shorter --node directory");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);

  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(operation, errno);
  {
    UniqueFd probe(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (::connect(probe.get(), generic, sizeof address) == 0 || errno == EAGAIN)
      return fail(Errc::already_exists, operation, "a data plane of this node is running already",
                  "stop it, or choose another --node directory");
  }
  ::unlink(path.c_str());  // of one that died
  const mode_t mask = ::umask(0177);
  const int bound = ::bind(fd.get(), generic, sizeof address);
  const int error = errno;
  ::umask(mask);
  if (bound != 0) return fail_errno(operation, error);
  if (::listen(fd.get(), 64) != 0) return fail_errno(operation, errno);
  return fd;
}

}  // namespace pgrid::dataplane
