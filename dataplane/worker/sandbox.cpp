#include "dataplane/worker/sandbox.hpp"

#include <malloc.h>
#include <unistd.h>

#include <cstdlib>

#include "dataplane/worker/system_calls.hpp"
#include "drivers/sandbox/privileges.hpp"

namespace pgrid::worker {

Result<void> drop_privileges(std::span<const int> kept) {
  // What would open files later, when that is death: glibc reads /proc/sys/vm/overcommit_memory before it shrinks any heap
  // but the first one, and Rust reads the program itself to print a backtrace.
  ::mallopt(M_ARENA_MAX, 1);
  ::unsetenv("RUST_BACKTRACE");
  ::unsetenv("RUST_LIB_BACKTRACE");

  if (auto closed = sandbox::close_descriptors(kept); !closed) return closed;
  if (auto hidden = sandbox::forbid_dumps(); !hidden) return hidden;
  return sandbox::give_up_capabilities();
}

Result<void> enter_sandbox(int socket) {
  const auto calls = worker_system_calls({.pid = ::getpid(), .socket = socket});
  return sandbox::enter_filter(calls);
}

}  // namespace pgrid::worker
