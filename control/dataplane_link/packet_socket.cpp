#include "control/dataplane_link/packet_socket.hpp"

#include <sys/socket.h>

#include <array>
#include <iterator>

#include "drivers/shm/unix_packet.hpp"

namespace pgrid::control {

using Status = shm::PacketOutcome::Status;

Result<PacketSocket> PacketSocket::connect(const std::filesystem::path& path) {
  Result<UniqueFd> fd = shm::connect_unix_packet(path.string());
  if (!fd) return std::unexpected(fd.error());
  return PacketSocket(std::move(*fd));
}

Result<std::optional<Datagram>> PacketSocket::receive() {
  const std::string operation = "read from the data plane";
  Datagram datagram;
  datagram.bytes.resize(kDatagramMax);
  std::array<UniqueFd, kFdsMax> fds;
  const auto outcome = shm::receive_packet(fd_.get(), datagram.bytes, fds);
  switch (outcome.status) {
    case Status::done:
      break;
    case Status::would_block:
      return std::nullopt;
    case Status::closed:
      return fail(Errc::unavailable, operation, "it closed the connection");
    case Status::too_long:
      return fail(Errc::protocol, operation, "a message that is too long");
    case Status::failed:
      return fail_errno(operation, outcome.error);
  }
  datagram.bytes.resize(outcome.length);
  datagram.fds.assign(std::move_iterator(fds.begin()),
                      std::move_iterator(fds.begin() + static_cast<std::ptrdiff_t>(outcome.nb_fds)));
  return datagram;
}

Result<bool> PacketSocket::send(std::span<const std::byte> bytes, int fd) {
  const auto outcome = shm::send_packet(fd_.get(), bytes, std::span(&fd, fd >= 0 ? 1u : 0u));
  if (outcome.status == Status::done) return true;
  if (outcome.status == Status::would_block) return false;
  return fail_errno("write to the data plane", outcome.error);
}

std::uint32_t PacketSocket::peer_pid() const {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return 0;
  return static_cast<std::uint32_t>(peer.pid);
}

}  // namespace pgrid::control
