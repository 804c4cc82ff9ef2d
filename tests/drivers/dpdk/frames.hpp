// Ethernet frames written and read by hand, for tests of the port: nothing of the node's own parser.
#pragma once

#include <arpa/inet.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace pgrid::test {

using Mac = std::array<std::uint8_t, 6>;
using Bytes = std::vector<std::uint8_t>;

inline void put16(Bytes& out, unsigned value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}
inline void put(Bytes& out, std::span<const std::uint8_t> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}
inline unsigned get16(std::span<const std::byte> frame, std::size_t at) {
  return std::to_integer<unsigned>(frame[at]) << 8 | std::to_integer<unsigned>(frame[at + 1]);
}
inline bool equal(std::span<const std::byte> frame, std::size_t at, std::span<const std::uint8_t> bytes) {
  return at + bytes.size() <= frame.size() && std::memcmp(frame.data() + at, bytes.data(), bytes.size()) == 0;
}

inline Bytes ethernet(const Mac& to, const Mac& from, unsigned type) {
  Bytes frame;
  put(frame, to);
  put(frame, from);
  put16(frame, type);
  return frame;
}

inline Bytes ip_bytes(const char* text) {
  const int family = std::strchr(text, ':') != nullptr ? AF_INET6 : AF_INET;
  Bytes bytes(family == AF_INET6 ? 16 : 4);
  (void)::inet_pton(family, text, bytes.data());
  return bytes;
}

/// "who has": operation 1; "is at": operation 2.
inline Bytes arp(unsigned operation, const Mac& to, const Mac& sender_mac, const char* sender,
                 const Mac& target_mac, const char* target) {
  Bytes frame = ethernet(to, sender_mac, 0x0806);
  put16(frame, 1);       // Ethernet
  put16(frame, 0x0800);  // IPv4
  put16(frame, 0x0604);  // lengths of the two kinds of address
  put16(frame, operation);
  put(frame, sender_mac);
  put(frame, ip_bytes(sender));
  put(frame, target_mac);
  put(frame, ip_bytes(target));
  return frame;
}

inline std::uint32_t sum16(std::span<const std::uint8_t> bytes, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2)
    sum += static_cast<std::uint32_t>(bytes[i]) << 8 | bytes[i + 1];
  if (bytes.size() % 2 != 0) sum += static_cast<std::uint32_t>(bytes.back()) << 8;
  return sum;
}
inline unsigned fold(std::uint32_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

enum class Checksums { complete, left_to_the_nic };

/// A UDP datagram over IPv4 or IPv6, as `source` and `destination` are written. With `left_to_the_nic` the
/// IPv4 field is 0 and the UDP field holds the sum of the pseudo-header.
inline Bytes udp(const Mac& to, const Mac& from, const char* source, const char* destination,
                 unsigned source_port, unsigned destination_port, std::string_view text,
                 Checksums checksums) {
  const Bytes src = ip_bytes(source), dst = ip_bytes(destination);
  const bool v4 = src.size() == 4;
  const auto udp_length = static_cast<unsigned>(8 + text.size());
  Bytes frame = ethernet(to, from, v4 ? 0x0800 : 0x86dd);
  const std::size_t l3 = frame.size();
  if (v4) {
    put16(frame, 0x4500);
    put16(frame, 20 + udp_length);
    put16(frame, 0);
    put16(frame, 0x4000);  // do not fragment
    put16(frame, 64 << 8 | 17);
    put16(frame, 0);
  } else {
    put16(frame, 0x6000);
    put16(frame, 0);
    put16(frame, udp_length);
    put16(frame, 17 << 8 | 64);
  }
  put(frame, src);
  put(frame, dst);
  const std::size_t l4 = frame.size();
  put16(frame, source_port);
  put16(frame, destination_port);
  put16(frame, udp_length);
  put16(frame, 0);
  for (const char c : text) frame.push_back(static_cast<std::uint8_t>(c));

  const std::uint32_t pseudo = sum16(dst, sum16(src)) + 17 + udp_length;
  unsigned udp_field = fold(pseudo);
  if (checksums == Checksums::complete) {
    udp_field = ~fold(sum16(std::span(frame).subspan(l4), pseudo)) & 0xffff;
    if (udp_field == 0) udp_field = 0xffff;
    if (v4) {
      const unsigned ip_field = ~fold(sum16(std::span(frame).subspan(l3, 20))) & 0xffff;
      frame[l3 + 10] = static_cast<std::uint8_t>(ip_field >> 8);
      frame[l3 + 11] = static_cast<std::uint8_t>(ip_field);
    }
  }
  frame[l4 + 6] = static_cast<std::uint8_t>(udp_field >> 8);
  frame[l4 + 7] = static_cast<std::uint8_t>(udp_field);
  return frame;
}

}  // namespace pgrid::test
