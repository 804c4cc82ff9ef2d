// A file of recorded frames, looked at before DPDK opens it: what is wrong is said in a sentence.
#pragma once

#include <cstdint>
#include <string>

#include "drivers/base/result.hpp"

namespace pgrid::dpdk {

struct PcapFile {
  std::uint32_t frames = 0;
  std::uint32_t longest = 0;  // bytes of the longest frame
};

/// A port keeps every frame of an infinite file in an mbuf: 131,072 of them are 300 MiB.
inline constexpr std::uint32_t kPcapFramesMax = 1u << 17;

/// Reads it to its end. Refuses what is missing, no capture, damaged, not of Ethernet, or without frames.
[[nodiscard]] Result<PcapFile> read_pcap_file(const std::string& path);

/// The same for a file that is received over and over: all of it must fit into mbufs of `data_room` bytes.
[[nodiscard]] Result<PcapFile> read_infinite_pcap_file(const std::string& path,
                                                       std::uint32_t data_room = 2048);

/// Whether frames can be written to `path`; makes it, or empties it, as the port will.
[[nodiscard]] Result<void> check_pcap_output(const std::string& path);

}  // namespace pgrid::dpdk
