// What goes over the data plane's Unix socket (SOCK_SEQPACKET, RUN/dataplane.sock, mode 0600): workers and control
// introduce themselves, are handed the descriptors of their segments (SCM_RIGHTS), and processes are loaded. One struct
// per datagram, nothing behind it. The data plane is the hub: it keeps what control loaded, so that a worker that
// restarts gets its processes back without control.
//
//   worker  -> Hello                      -> data plane
//   worker  <- Welcome + [worker rings]   <- data plane
//   control -> Hello                      -> data plane
//   control <- Welcome + [rights, stats (read-only), control rings]
//   control -> LoadProcess + [sealed compiled code] -> data plane -> the worker
//   worker  -> ProcessState               -> data plane -> control
//   control -> UnloadProcess              -> data plane -> the worker -> ProcessState unloaded
//   control -> RestartProcess             -> data plane -> the worker -> ProcessState loaded: a new instance serves
//   worker  -> ProcessState gave_up       -> data plane -> control, whenever it happens
//   control -> SetHandle                  -> data plane -> the worker (which learns that the handle is there, no more)
//   control <- WorkerChange               <- data plane, at every change and once for each worker after Welcome
//
// A refused Hello is answered with Refused and a closed socket. EOF from the data plane: a worker exits; control tries
// again. EOF from a worker: it is dead.
#pragma once

#include <cstdint>
#include <type_traits>

#include "abi/shared/geometry.hpp"
#include "abi/shared/segment.hpp"

namespace pgrid::abi {

inline constexpr std::uint32_t kHandoverMagic = 0x4f48'4750;  // "PGHO"

enum class HandoverType : std::uint32_t {
  hello = 1,
  welcome = 2,
  refused = 3,
  load_process = 4,
  unload_process = 5,
  process_state = 6,
  worker_change = 7,
  set_handle = 8,
  restart_process = 9,
};

struct HandoverHeader {
  std::uint32_t magic;    // kHandoverMagic
  std::uint32_t version;  // kSharedVersion
  HandoverType type;
  std::uint32_t length;   // of the whole struct
};
static_assert(sizeof(HandoverHeader) == 16);

enum class Role : std::uint32_t { control = 1, worker = 2 };

struct Hello {
  HandoverHeader header;
  Role role;
  std::uint32_t worker;  // index, of a worker
  std::uint32_t pid;     // for display; the kernel's SO_PEERCRED is what counts
  std::uint32_t reserved;
};
static_assert(sizeof(Hello) == 32);

struct Welcome {
  HandoverHeader header;
  Geometry geometry;
  std::uint8_t boot_id[16];
  std::uint64_t tsc_hz;
  std::uint32_t worker;      // index, of a worker
  std::uint32_t segments;    // descriptors attached
  std::uint64_t sizes[4];    // of those segments, in order
};
static_assert(sizeof(Welcome) == 112);

struct Refused {
  HandoverHeader header;
  char text[240];  // a sentence, ends with NUL
};
static_assert(sizeof(Refused) == 256);

/// What is done when an instance ends by itself: it trapped, or passed a limit.
enum class RestartStrategy : std::uint32_t {
  always = 0,      // a new one at once; beyond `restarts_max` in a period it is left alone for a while, ever longer
  on_failure = 1,  // the same, but after `give_up_after` such pauses in a row the process gives up
  never = 2,       // the process gives up at once
};

/// What one instance may use. Part of the promise.
struct ProcessLimits {
  std::uint64_t memory_bytes;     // linear memory, a multiple of 64 KiB
  std::uint32_t time_limit_us;    // CPU time per message
  std::uint32_t mailbox;          // messages waiting, at most 4,096
  std::uint32_t restarts_max;     // rebuilds within a period; beyond it the process is left alone for a while. 0: no bound
  std::uint32_t restart_period_ms;
  RestartStrategy strategy;
  std::uint32_t backoff_min_ms;   // the first pause; each one after that is twice as long
  std::uint32_t backoff_max_ms;   // at most
  std::uint32_t give_up_after;    // pauses in a row, without a message handled between them
};
static_assert(sizeof(ProcessLimits) == 40);

struct LoadProcess {
  HandoverHeader header;
  std::uint32_t process;         // index on this node
  std::uint32_t generation;      // rises when control loads something else under the same index
  std::uint32_t worker;
  std::uint32_t handles;         // bit n: it holds handle n. Written by the data plane, which knows (SetHandle)
  ProcessLimits limits;
  std::uint64_t code_size;       // bytes of the attached memfd
  std::uint8_t code_hash[32];    // SHA-256 of the WebAssembly module (its CID's digest): names, authenticates nothing
  char name[64];                 // ends with NUL
  std::uint32_t gave_up;         // 1: it gave up before; it gets no instance until RestartProcess. The data plane knows better
  std::uint32_t reserved;
};
static_assert(sizeof(LoadProcess) == 184);

struct UnloadProcess {
  HandoverHeader header;
  std::uint32_t process;
  std::uint32_t generation;
  std::uint32_t worker;
  std::uint32_t reserved;
};
static_assert(sizeof(UnloadProcess) == 32);

/// The instance ends and a new one is built, as after a trap; the messages that wait go to the new one. A process that gave
/// up serves again, and its restarts count from zero. Answered with ProcessState: loaded, or failed when it is not there; if the
/// new instance stops at once and the process gives up again, that is told after it.
struct RestartProcess {
  HandoverHeader header;
  std::uint32_t process;
  std::uint32_t generation;
  std::uint32_t worker;
  std::uint32_t reserved;
};
static_assert(sizeof(RestartProcess) == 32);

/// A process holds a right, or holds it no more. Control says it again for every right when it attaches; what is said of
/// a generation that is not loaded is ignored. A process that is loaded anew begins with none.
struct SetHandle {
  HandoverHeader header;
  std::uint32_t process;
  std::uint32_t generation;        // of the process
  std::uint32_t worker;
  std::uint32_t handle;            // kFirstGrant to kFirstGrant + kGrantsMax - 1
  std::uint32_t slot;              // of the right; 0 where a worker reads it
  std::uint32_t right_generation;  // 0: taken away
  std::uint32_t held;              // to a worker: 1 or 0
  std::uint32_t reserved;
};
static_assert(sizeof(SetHandle) == 48);

enum class ProcessStatus : std::uint32_t {
  loaded = 1,
  failed = 2,
  unloaded = 3,
  gave_up = 4,  // it is loaded but not served: messages for it are answered process_failed, until RestartProcess
};

struct ProcessState {
  HandoverHeader header;
  std::uint32_t process;
  std::uint32_t generation;
  std::uint32_t worker;
  ProcessStatus status;
  char text[224];  // of failed and gave_up: why, a sentence; ends with NUL
};
static_assert(sizeof(ProcessState) == 256);

struct WorkerChange {
  HandoverHeader header;
  std::uint32_t worker;
  std::uint32_t state;         // WorkerState
  std::uint32_t pid;
  std::uint32_t deaths;
};
static_assert(sizeof(WorkerChange) == 32);

/// A header for message `T`; `type` is its HandoverType.
template <typename T>
constexpr HandoverHeader handover_header(HandoverType type) {
  static_assert(std::is_trivially_copyable_v<T>);
  return {kHandoverMagic, kSharedVersion, type, sizeof(T)};
}

}  // namespace pgrid::abi
