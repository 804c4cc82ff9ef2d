// HTTP/1.1 on a Unix socket: bytes to Request, Response to bytes. Slow or hostile clients are bounded in
// number, in time and in bytes; whoever may open the socket is the node's owner (mode 0600).
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>

#include "control/api/api.hpp"
#include "control/event_loop.hpp"

namespace pgrid::control {

inline constexpr std::size_t kConnectionsMax = 128;

/// What clients may take of control: docs/API.md tells them. Tests make it less.
struct ServerLimits {
  std::size_t connections = kConnectionsMax;
  std::size_t uploads = 8;  // modules on their way in or being deployed: 8 * limits.module_max bytes
  std::chrono::milliseconds idle{60'000};  // between two requests, the header of the next included
  std::chrono::milliseconds body{
      30'000};  // for a whole body: 64 MiB over a Unix socket take far less than a second
  std::chrono::milliseconds write{30'000};  // for a whole answer to be taken
};

/// Owned by control's one thread. Removes the socket when destroyed.
class Server {
 public:
  /// Listens at `path`. A socket file that nobody listens at is replaced; one that answers is an error.
  [[nodiscard]] static Result<std::unique_ptr<Server>> open(EventLoop& loop, Api& api,
                                                            std::filesystem::path path,
                                                            ServerLimits limits = {});
  ~Server();
  struct Impl;

 private:
  explicit Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

}  // namespace pgrid::control
