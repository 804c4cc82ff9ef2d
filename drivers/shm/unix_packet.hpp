// Datagrams with descriptors over a Unix socket (SOCK_SEQPACKET, SCM_RIGHTS): how processes hand each other memory.
// Mechanism only: who talks, what is said and what waits is the business of whoever owns the socket.
#pragma once

#include <sys/un.h>

#include <cstddef>
#include <span>
#include <string>

#include "drivers/base/result.hpp"
#include "drivers/base/unique_fd.hpp"

namespace pgrid::shm {

inline constexpr std::size_t kPacketFdsMax = 8;  // descriptors with one datagram

/// The address of a socket in the file system. Refuses a path that does not fit (107 bytes).
[[nodiscard]] Result<sockaddr_un> unix_address(const std::string& path);

/// A connected SOCK_SEQPACKET socket that never blocks. The error keeps what errno said (not_found, unavailable, ...).
[[nodiscard]] Result<UniqueFd> connect_unix_packet(const std::string& path);

struct PacketOutcome {
  enum class Status {
    done,
    would_block,  // nothing there to receive; no room to send
    closed,       // by the other side
    too_long,     // a datagram, or its descriptors, did not fit: it is lost
    failed,       // `error` is an errno
  };
  Status status = Status::done;
  int error = 0;
  std::size_t length = 0;  // received: bytes
  std::size_t nb_fds = 0;  // received: descriptors
};

/// Takes the next datagram, if there is one. Received descriptors land in `fds` (close-on-exec) or are closed.
[[nodiscard]] PacketOutcome receive_packet(int socket, std::span<std::byte> room, std::span<UniqueFd> fds);

/// Sends one datagram, if there is room. The descriptors stay the caller's. REQUIRES: at most kPacketFdsMax.
[[nodiscard]] PacketOutcome send_packet(int socket, std::span<const std::byte> bytes, std::span<const int> fds);

}  // namespace pgrid::shm
