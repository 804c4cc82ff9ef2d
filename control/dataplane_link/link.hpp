// The connection to the data plane: made again for ever, since each side outlives the other. While it stands,
// the segments are mapped and messages go both ways; what is lost with it is told to the listener, who acts.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "abi/shared/handover.hpp"
#include "control/dataplane_link/packet_socket.hpp"
#include "control/dataplane_link/segments.hpp"
#include "control/event_loop.hpp"

namespace pgrid::control {

/// Who hears about the link. Called on the loop's thread.
class LinkListener {
 public:
  virtual void on_attached() = 0;
  virtual void on_lost() = 0;
  virtual void on_process_state(const abi::ProcessState& state, const std::string& text) = 0;
  virtual void on_worker_change(const abi::WorkerChange& change) = 0;

 protected:
  virtual ~LinkListener() = default;
};

/// Owned by control's one thread.
class DataplaneLink {
 public:
  DataplaneLink(EventLoop& loop, std::filesystem::path socket) : loop_(loop), path_(std::move(socket)) {}

  /// Begins to connect. `listener` outlives this.
  void start(LinkListener& listener);
  /// Closes for good.
  void stop();

  /// Null while the data plane is away. Valid until control returns to its loop.
  [[nodiscard]] const Segments* segments() const { return segments_ ? &*segments_ : nullptr; }
  /// Rises with every attachment: tells whoever waits across turns of the loop that the world has changed.
  [[nodiscard]] std::uint64_t attachment() const { return attachment_; }

  /// Queues a message; `code` goes with a LoadProcess. Dropped when the link is lost: on_attached sends all
  /// again.
  void send(const abi::LoadProcess& load, UniqueFd code) { queue(&load, sizeof load, std::move(code)); }
  void send(const abi::UnloadProcess& unload) { queue(&unload, sizeof unload, UniqueFd()); }
  void send(const abi::RestartProcess& restart) { queue(&restart, sizeof restart, UniqueFd()); }
  void send(const abi::SetHandle& handle) { queue(&handle, sizeof handle, UniqueFd()); }

  /// The data plane's process id, as the kernel says; 0 while it is away.
  [[nodiscard]] std::uint32_t peer_pid() const { return segments_ ? socket_.peer_pid() : 0; }

 private:
  struct Outgoing {
    std::vector<std::byte> bytes;
    UniqueFd fd;
  };
  void try_connect();
  void retry(const Error& error);
  void lose(const Error& error);
  void on_readable();
  [[nodiscard]] Result<void> take(Datagram datagram);
  [[nodiscard]] Result<void> welcome(Datagram datagram);
  void queue(const void* message, std::size_t size, UniqueFd fd);
  void flush();

  EventLoop& loop_;
  std::filesystem::path path_;
  LinkListener* listener_ = nullptr;
  PacketSocket socket_;
  Pending readable_;  // behind socket_: it goes first
  Pending writable_;
  Pending timer_;  // the next try, or the end of waiting for a welcome
  std::optional<Segments> segments_;
  std::deque<Outgoing> outgoing_;
  std::uint64_t attachment_ = 0;
  std::string last_error_;  // so that a data plane that stays away is logged once
  bool stopped_ = false;
};

}  // namespace pgrid::control
