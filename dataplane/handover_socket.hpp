// One connection of the hand-over socket: datagrams of at most 256 bytes, with descriptors. Never blocks.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "abi/shared/handover.hpp"
#include "drivers/base/result.hpp"
#include "drivers/base/unique_fd.hpp"

namespace pgrid::dataplane {

inline constexpr std::size_t kHandoverMax = 256;  // bytes of the largest struct in abi/shared/handover.hpp
inline constexpr std::size_t kHandoverFds = 4;    // descriptors with one datagram
inline constexpr std::size_t kHandoverQueue =
    8192;  // datagrams a slow peer may be behind: two loads of a full worker

struct Datagram {
  alignas(8) std::array<std::byte, kHandoverMax> bytes{};
  std::size_t length = 0;
  std::array<UniqueFd, kHandoverFds> fds;
  std::size_t nb_fds = 0;

  /// The datagram as message `T`, if header and length say it is one.
  template <typename T>
  [[nodiscard]] std::optional<T> as(abi::HandoverType type) const {
    abi::HandoverHeader header;
    if (length != sizeof(T)) return std::nullopt;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.magic != abi::kHandoverMagic || header.version != abi::kSharedVersion || header.type != type ||
        header.length != sizeof(T))
      return std::nullopt;
    T message;
    std::memcpy(&message, bytes.data(), sizeof message);
    return message;
  }
  /// What it says it is.
  [[nodiscard]] std::optional<abi::HandoverType> type() const {
    abi::HandoverHeader header;
    if (length < sizeof header) return std::nullopt;
    std::memcpy(&header, bytes.data(), sizeof header);
    return header.type;
  }
};

/// Move-only owner of a connected SOCK_SEQPACKET socket. Used by the helper thread only.
class HandoverSocket {
 public:
  HandoverSocket() = default;
  explicit HandoverSocket(UniqueFd fd) : fd_(std::move(fd)) {}

  enum class Received { datagram, nothing, closed };
  /// Takes the next datagram. A longer one than any of ours, or more descriptors, is
  /// `closed`: the peer is broken.
  [[nodiscard]] Received receive(Datagram& datagram);

  /// Sends a message, now or as soon as the peer reads; descriptors are duplicated if they have to wait.
  /// False: the peer is gone or hopelessly behind; the caller closes.
  template <typename T>
  [[nodiscard]] bool send(const T& message, std::span<const int> fds = {}) {
    return send_bytes(std::as_bytes(std::span(&message, 1)), fds);
  }
  /// Sends what had to wait. False as for `send`.
  [[nodiscard]] bool flush();
  [[nodiscard]] bool wants_to_write() const { return !waiting_.empty(); }

  struct Peer {
    pid_t pid = 0;
    uid_t uid = 0;
  };
  /// Who the kernel says is at the other end.
  [[nodiscard]] Result<Peer> peer() const;
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] explicit operator bool() const { return static_cast<bool>(fd_); }
  void close() {
    fd_.reset();
    waiting_.clear();
  }

 private:
  struct Waiting {
    std::vector<std::byte> bytes;
    std::vector<UniqueFd> fds;
  };
  enum class Sent { yes, would_block, failed };
  [[nodiscard]] bool send_bytes(std::span<const std::byte> bytes, std::span<const int> fds);
  [[nodiscard]] Sent try_send(std::span<const std::byte> bytes, std::span<const int> fds) const;

  UniqueFd fd_;
  std::deque<Waiting> waiting_;
};

/// A listening socket at `path`, mode 0600. Takes the place of a dead one; refuses where
/// another process still answers.
[[nodiscard]] Result<UniqueFd> listen_at(const std::string& path);

}  // namespace pgrid::dataplane
