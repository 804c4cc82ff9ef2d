// The data plane's Unix socket, one struct per datagram, descriptors beside it. Never blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "drivers/base/result.hpp"
#include "drivers/base/unique_fd.hpp"

namespace pgrid::control {

inline constexpr std::size_t kDatagramMax =
    512;                                   // bytes; the longest message of abi/shared/handover.hpp is 256
inline constexpr std::size_t kFdsMax = 8;  // a Welcome brings three

struct Datagram {
  std::vector<std::byte> bytes;
  std::vector<UniqueFd> fds;
};

/// Move-only owner of a connected SOCK_SEQPACKET socket.
class PacketSocket {
 public:
  PacketSocket() = default;
  explicit PacketSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] static Result<PacketSocket> connect(const std::filesystem::path& path);

  /// Nothing: none is waiting. An error: the other side is gone, or sent what does not fit a datagram.
  [[nodiscard]] Result<std::optional<Datagram>> receive();
  /// False: the socket is full, try again when it is writable.
  [[nodiscard]] Result<bool> send(std::span<const std::byte> bytes, int fd = -1);

  /// The process that listens at the other end, as the kernel says; 0: it does not say.
  [[nodiscard]] std::uint32_t peer_pid() const;
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] explicit operator bool() const { return static_cast<bool>(fd_); }
  void close() { fd_.reset(); }

 private:
  UniqueFd fd_;
};

}  // namespace pgrid::control
