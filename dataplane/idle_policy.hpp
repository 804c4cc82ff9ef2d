// Which idle policy a node's poll cores follow when its configuration leaves that open.
#pragma once

#include <cstdint>
#include <string_view>

#include "dataplane/idle.hpp"
#include "drivers/config/node_config.hpp"

namespace pgrid::dataplane {

/// Whether a kernel CPU list such as "2-5,8" has this CPU.
[[nodiscard]] bool cpu_list_has(std::string_view list, std::uint32_t cpu);

/// Spinning pays only where a core has nothing else to do and the driver makes no system calls anyway:
/// isolated CPUs and physical ports only. `isolated` is what /sys/devices/system/cpu/isolated holds.
[[nodiscard]] IdlePolicy choose_idle_policy(const config::NodeConfig& config, std::string_view isolated);

/// Reads /sys/devices/system/cpu/isolated; empty where there is none.
[[nodiscard]] std::string read_isolated_cpus();

}  // namespace pgrid::dataplane
