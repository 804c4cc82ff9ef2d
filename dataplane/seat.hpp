// The place of a peer process, a worker or control: its connection, its memory, and whether
// anybody still uses that.
//
//   free      nobody; the next Hello may take it
//   taken     a peer is connected, its rings are offered to the poll cores
//   vacating  the peer is gone, poll cores are answering what it had; its memory is still mapped
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "dataplane/handover_socket.hpp"
#include "dataplane/link_cells.hpp"
#include "drivers/base/unique_fd.hpp"
#include "drivers/shm/segment.hpp"

namespace pgrid::dataplane {

/// Owned by the helper thread.
struct Seat {
  HandoverSocket socket;
  UniqueFd pidfd;
  pid_t pid = 0;
  shm::Segment segment;           // fresh for every incarnation, never reused
  std::uint32_t incarnation = 0;  // 0: never taken

  [[nodiscard]] bool is_taken() const { return static_cast<bool>(socket); }
  [[nodiscard]] bool is_free() const { return !is_taken() && !segment; }
  [[nodiscard]] bool is_vacating() const { return !is_taken() && segment; }
};

/// A worker's seat, and what the helper knows of it.
struct WorkerSeat : Seat {
  std::uint32_t deaths = 0;
  bool serving = false;
  // Watch: CPU time since the last sign of life.
  std::uint64_t heartbeat_seen = 0;
  std::uint64_t cpu_ns_at_heartbeat = 0;
};

/// Opens a descriptor that becomes readable when the process ends.
[[nodiscard]] Result<UniqueFd> open_pidfd(pid_t pid);
/// SIGKILL, to exactly that process.
void kill_process(const UniqueFd& pidfd);
/// CPU time that all threads of a process have used, in ns; 0 when it cannot be told.
[[nodiscard]] std::uint64_t cpu_time_ns(pid_t pid);

}  // namespace pgrid::dataplane
