// Capture files written and read by hand, in the classic format of tcpdump: nothing of libpcap.
#pragma once

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/drivers/dpdk/frames.hpp"

namespace pgrid::test {

inline constexpr std::uint32_t kMicroseconds = 0xa1b2c3d4, kNanoseconds = 0xa1b23c4d;  // magic numbers

inline void write_pcap(const std::string& path, const std::vector<Bytes>& frames,
                       std::uint32_t link_type = 1) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  const auto put32 = [&file](std::uint32_t value) { file.write(reinterpret_cast<const char*>(&value), 4); };
  for (const std::uint32_t word : {kMicroseconds, 0x00040002u, 0u, 0u, 65535u, link_type}) put32(word);
  for (const Bytes& frame : frames) {
    const auto size = static_cast<std::uint32_t>(frame.size());
    for (const std::uint32_t word : {0u, 0u, size, size}) put32(word);
    file.write(reinterpret_cast<const char*>(frame.data()), static_cast<std::streamsize>(frame.size()));
  }
}

/// All complete frames of a file.
inline std::vector<Bytes> read_pcap(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const Bytes bytes((std::istreambuf_iterator<char>(file)), {});
  std::vector<Bytes> frames;
  const auto word = [&bytes](std::size_t at) {
    std::uint32_t value = 0;
    std::memcpy(&value, bytes.data() + at, 4);
    return value;
  };
  if (bytes.size() < 24 || (word(0) != kMicroseconds && word(0) != kNanoseconds)) return frames;
  for (std::size_t at = 24; at + 16 <= bytes.size();) {
    const std::size_t size = word(at + 8);
    at += 16;
    if (at + size > bytes.size()) break;
    frames.emplace_back(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                        bytes.begin() + static_cast<std::ptrdiff_t>(at + size));
    at += size;
  }
  return frames;
}

}  // namespace pgrid::test
