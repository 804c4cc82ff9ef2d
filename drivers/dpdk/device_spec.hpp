// The names by which node.toml calls ports, as values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "drivers/base/result.hpp"

namespace pgrid::dpdk {

enum class DeviceKind : std::uint8_t {
  tap,   // "tap:pg0": a Linux TAP interface pg0, made by us, gone when we stop
  null,  // "null:": receives nothing, swallows what is sent
  pci,   // "0000:65:00.0": a NIC bound to vfio-pci (or a bifurcated driver)
  vdev,  // "net_ring0,...": DPDK devargs as they are
};

struct DeviceSpec {
  DeviceKind kind = DeviceKind::null;
  std::string text;       // as the user wrote it, for messages
  std::string interface;  // tap: the kernel's name for its end
  std::string name;       // pci: the address in full; vdev: its name, before the first comma
  std::string arguments;  // pci, vdev: what follows the first comma
};

/// Pure: looks at no device. Every refusal is one sentence.
[[nodiscard]] Result<DeviceSpec> parse_device(std::string_view text);

/// Whether the kernel would take it as an interface's name, and DPDK as an argument.
[[nodiscard]] Result<void> check_interface_name(std::string_view name);

}  // namespace pgrid::dpdk
