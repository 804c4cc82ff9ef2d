// From a device as node.toml names it to the name and arguments that DPDK probes. For eth_port.cpp.
#pragma once

#include <string>

#include "drivers/base/result.hpp"
#include "drivers/dpdk/device_spec.hpp"

namespace pgrid::dpdk {

struct Device {
  std::string name;       // DPDK's
  std::string arguments;  // may be empty
};

/// The device to probe. For af_xdp `program_path` is where its XDP program can be read.
[[nodiscard]] Device device_for(const DeviceSpec& spec, const std::string& node_name, std::uint16_t queues,
                                const std::string& program_path);

/// What a person can see without DPDK, said before DPDK says it less clearly. Clears away what an earlier
/// life of this node left (a memif socket, an XDP program).
[[nodiscard]] Result<void> check_before_probe(const DeviceSpec& spec, std::uint16_t queues);

/// What to do when the driver refuses all the same.
[[nodiscard]] std::string remedy_for_probe(const DeviceSpec& spec);

}  // namespace pgrid::dpdk
