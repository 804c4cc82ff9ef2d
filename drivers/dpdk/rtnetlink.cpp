#include "drivers/dpdk/rtnetlink.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstdint>

namespace pgrid::dpdk {

Result<RouteSocket> RouteSocket::open() {
  RouteSocket socket;
  socket.fd_ = UniqueFd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket.fd_) return fail_errno("open a rtnetlink socket", errno);
  const timeval limit{.tv_sec = 2, .tv_usec = 0};  // the kernel answers at once; never hang on a lost answer
  (void)::setsockopt(socket.fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return socket;
}

int RouteSocket::request(nlmsghdr& message, const std::function<void(const nlmsghdr&)>& each) {
  message.nlmsg_flags |= NLM_F_ACK;
  return exchange(message, each);
}

int RouteSocket::dump(nlmsghdr& message, const std::function<void(const nlmsghdr&)>& each) {
  message.nlmsg_flags |= NLM_F_DUMP;
  return exchange(message, each);
}

int RouteSocket::exchange(nlmsghdr& message, const std::function<void(const nlmsghdr&)>& each) {
  message.nlmsg_seq = ++sequence_;
  if (::send(fd_.get(), &message, message.nlmsg_len, 0) < 0) return errno;
  alignas(nlmsghdr)
      std::byte buffer[16384];  // the kernel fills dumps in pieces of at most this (NLMSG_GOODSIZE)
  for (;;) {
    const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN ? ETIMEDOUT : errno;
    auto left = static_cast<std::uint32_t>(n);
    for (auto* answer = reinterpret_cast<const nlmsghdr*>(buffer); NLMSG_OK(answer, left);
         answer = NLMSG_NEXT(answer, left)) {
      if (answer->nlmsg_seq != sequence_) continue;
      if (answer->nlmsg_type == NLMSG_DONE) return 0;
      if (answer->nlmsg_type == NLMSG_ERROR) return -static_cast<const nlmsgerr*>(NLMSG_DATA(answer))->error;
      if (each) each(*answer);
    }
  }
}

}  // namespace pgrid::dpdk
