// The system calls of a worker that runs guests.
#pragma once

#include <sys/types.h>

#include <vector>

#include "drivers/sandbox/system_call_filter.hpp"

namespace pgrid::worker {

/// What the list names of this process.
struct Self {
  pid_t pid;
  int socket;  // the hand-over socket
};

/// All of them, each with why. Reviewed like code: a call that is added here is one that a guest which broke out of
/// WebAssembly can make.
[[nodiscard]] std::vector<sandbox::SystemCall> worker_system_calls(const Self& self);

}  // namespace pgrid::worker
