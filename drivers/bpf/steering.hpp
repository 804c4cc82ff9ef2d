// Our XDP program (steer.bpf.c) on an interface: who has what attached there, and holding ours.
//
// DPDK's net_af_xdp loads the program from a file and attaches it in the way that outlives its process. So as
// soon as the port is set up, `XdpSteering` attaches it anew as a BPF link: a link ends with its descriptor,
// hence with this process, however it dies. Libbpf only; no EAL.
#pragma once

#include <cstdint>
#include <string>

#include "drivers/base/result.hpp"
#include "drivers/base/unique_fd.hpp"

namespace pgrid::bpf {

/// Makes room for our program. Detaches one of ours that a killed node has left; refuses when another node
/// holds ours there, or when the program there is somebody else's, which is never touched.
[[nodiscard]] Result<void> clear_interface(const std::string& interface);

/// The compiled program as a file of this process: an ELF object for libbpf to open.
class ProgramFile {
 public:
  [[nodiscard]] static Result<ProgramFile> create();
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }

 private:
  explicit ProgramFile(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

/// Our program, attached for as long as this object lives.
class XdpSteering {
 public:
  /// Takes over the program that net_af_xdp has just attached to the interface, and tells it the UDP port
  /// (host order).
  [[nodiscard]] static Result<XdpSteering> take_over(const std::string& interface, std::uint16_t udp_port);

 private:
  explicit XdpSteering(UniqueFd link) : link_(std::move(link)) {}
  UniqueFd link_;
};

}  // namespace pgrid::bpf
