// The names by which node.toml calls ports, as values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "drivers/base/result.hpp"

namespace pgrid::dpdk {

enum class DeviceKind : std::uint8_t {
  tap,     // "tap:pg0": a Linux TAP interface pg0, made by us, gone when we stop
  null,    // "null:": receives nothing, swallows what is sent
  af_xdp,  // "af_xdp:eth0": a kernel interface; our UDP port comes here, the rest stays with the kernel
  memif,   // "memif:socket=/run/a.sock,role=server,id=0": shared memory with another process
  pcap,    // "pcap:rx=in.pcap,tx=out.pcap": frames from a file, once or over and over ("infinite")
  pci,     // "0000:65:00.0": a NIC bound to vfio-pci (or a bifurcated driver)
  vdev,    // "net_ring0,...": DPDK devargs as they are
};

struct DeviceSpec {
  DeviceKind kind = DeviceKind::null;
  std::string text;       // as the user wrote it, for messages
  std::string interface;  // tap: the kernel's name for its end; af_xdp: the kernel's interface
  std::string name;       // pci: the address in full; vdev: its name, before the first comma
  std::string arguments;  // pci, vdev: what follows the first comma

  std::uint32_t start_queue = 0;    // af_xdp: the first of the interface's queues that is ours
  bool start_queue_chosen = false;  // af_xdp: the user says that frames are steered to these queues

  std::string socket;      // memif: path of the Unix socket at which the two sides meet
  bool is_server = false;  // memif: we listen there; else we connect
  std::uint32_t id = 0;    // memif: the same on both sides
  std::string rx_file;     // pcap: frames to receive
  std::string tx_file;     // pcap: where sent frames go; empty: dropped
  bool infinite = false;   // pcap: begin again after the last frame
};

/// Pure: looks at no device. Every refusal is one sentence.
[[nodiscard]] Result<DeviceSpec> parse_device(std::string_view text);

/// Whether the kernel would take it as an interface's name, and DPDK as an argument.
[[nodiscard]] Result<void> check_interface_name(std::string_view name);

}  // namespace pgrid::dpdk
