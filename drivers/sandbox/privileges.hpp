// Giving up what a process was started with. Linux keeps most of it per thread: call these before other threads exist.
#pragma once

#include <span>

#include "drivers/base/result.hpp"

namespace pgrid::sandbox {

/// No capability is left, none can be inherited, and no program that is run from here on can gain one (no_new_privs).
[[nodiscard]] Result<void> give_up_capabilities();

/// Nobody but root may look into this process or trace it, and it leaves no core file: its memory may hold what
/// somebody else's messages said.
[[nodiscard]] Result<void> forbid_dumps();

/// Standard input and output lead to /dev/null; besides standard error only descriptors in `kept` stay open.
[[nodiscard]] Result<void> close_descriptors(std::span<const int> kept);

}  // namespace pgrid::sandbox
