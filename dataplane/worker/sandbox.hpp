// What a worker gives up: guests may break out of WebAssembly, and then nothing but the worker's own memory should be in
// reach. Two steps, because loading the engine needs more than running it.
#pragma once

#include <span>

#include "drivers/base/result.hpp"

namespace pgrid::worker {

/// Capabilities, the way back to them, core dumps, every descriptor but `kept` and stderr. REQUIRES: connected to the
/// data plane; no second thread; no engine yet.
[[nodiscard]] Result<void> drop_privileges(std::span<const int> kept);

/// From here on only the system calls of system_calls.cpp: no files, no network, no processes, no threads. `socket` is the
/// hand-over socket. REQUIRES: engine and threads are there and past their set-up.
[[nodiscard]] Result<void> enter_sandbox(int socket);

}  // namespace pgrid::worker
