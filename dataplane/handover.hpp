// The helper thread: everything of the data plane that needs system calls. It serves RUN/dataplane.sock,
// hands out and takes back shared memory, watches workers, keeps what control has loaded, and publishes
// gauges and the wall clock.
//
// Poll cores never wait for it. What it tells them goes through link cells (link_cell.hpp) and node signals.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <vector>

#include "abi/shared/handover.hpp"
#include "dataplane/handle_table.hpp"
#include "dataplane/link_cells.hpp"
#include "dataplane/node_signals.hpp"
#include "dataplane/process_book.hpp"
#include "dataplane/seat.hpp"
#include "dataplane/segments.hpp"
#include "dataplane/stats_segment.hpp"
#include "dataplane/ticks.hpp"
#include "drivers/base/result.hpp"

namespace pgrid::dataplane {

/// What the helper is wired to. All of it outlives the helper.
struct HandoverWiring {
  SegmentPlan plan;
  const shm::Segment& rights;
  const shm::Segment& stats;
  LinkCells& cells;
  NodeSignals& signals;
  HandleTable& handles;
  TickRate rate;
  std::function<std::uint64_t()> tsc;                // the poll cores' clock
  std::function<std::uint64_t()> mbufs_in_use = {};  // for the gauge
};

/// Used by one thread, the main lcore. Not movable: epoll knows its descriptors.
class Handover {
 public:
  /// `listener` is what `listen_at` gave.
  [[nodiscard]] static Result<std::unique_ptr<Handover>> create(HandoverWiring wiring, UniqueFd listener);
  ~Handover();
  Handover(const Handover&) = delete;
  Handover& operator=(const Handover&) = delete;

  /// Waits up to `timeout_ms` for something to do, and does it.
  void step(int timeout_ms);

 private:
  Handover(HandoverWiring wiring, UniqueFd listener);

  // Connections.
  void accept_all();
  void read_guest(HandoverSocket& guest);
  void retry_guests();
  /// What becomes of a connection that said Hello: seated, told no, or asked to wait
  /// until its seat is vacated.
  enum class Seating { seated, refused, wait };
  [[nodiscard]] Seating seat(HandoverSocket& guest, const abi::Hello& hello);
  [[nodiscard]] Seating refuse(HandoverSocket& guest, const std::string& sentence);
  [[nodiscard]] Result<void> seat_worker(HandoverSocket& guest, std::uint32_t worker, pid_t pid);
  [[nodiscard]] Result<void> seat_control(HandoverSocket& guest, pid_t pid);
  void watch(int fd, bool also_write = false);
  void update_interest(const HandoverSocket& socket);

  // Workers.
  void read_worker(std::uint32_t worker);
  void lose_worker(std::uint32_t worker, abi::WorkerLoss why);
  void start_loading(KeptProcess& kept);
  [[nodiscard]] bool take_state(KeptProcess& kept, const abi::ProcessState& state);
  void report(const abi::ProcessState& state);
  void serve_if_ready(std::uint32_t worker);
  void set_worker_state(std::uint32_t worker, abi::WorkerState state);
  void tell_worker_change(std::uint32_t worker);
  void check_heartbeat(std::uint32_t worker);

  // Control.
  void read_control();
  void lose_control();
  void load(const abi::LoadProcess& load, UniqueFd code);
  void unload(const abi::UnloadProcess& unload);
  void restart(const abi::RestartProcess& restart);
  [[nodiscard]] bool set_handle(const abi::SetHandle& set);

  /// Messages go out now or as soon as the peer reads; one that is hopelessly behind is lost.
  void send_to_worker(std::uint32_t worker, const auto& message, std::span<const int> fds = {}) {
    HandoverSocket& socket = workers_[worker].socket;
    if (!socket) return;
    if (!socket.send(message, fds)) return lose_worker(worker, abi::WorkerLoss::ended);
    update_interest(socket);
  }
  void send_to_control(const auto& message) {
    if (!control_.is_taken()) return;
    if (!control_.socket.send(message)) return lose_control();
    update_interest(control_.socket);
  }

  // Time.
  void tick();
  void publish_clock();
  void reap();

  HandoverWiring wiring_;
  const abi::Geometry& geometry_;
  StatsSegment stats_;
  UniqueFd epoll_;
  UniqueFd listener_;
  struct Guest {
    HandoverSocket socket;
    std::optional<abi::Hello> hello;  // waits for its seat
  };
  std::list<Guest> guests_;  // connected, not seated
  std::vector<WorkerSeat> workers_;
  Seat control_;
  ProcessBook book_;
  std::uint64_t last_tick_ns_ = 0;
};

}  // namespace pgrid::dataplane
