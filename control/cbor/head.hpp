// The head of a CBOR item (RFC 8949 section 3): what every item begins with, whatever is made of it. promise-1 and the log
// (cbor.hpp) and the DAG-CBOR of tokens (control/token) read and write theirs here; which items and orders they allow is theirs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pgrid::control {

struct CborHead {
  static constexpr unsigned kNone = 8;  // no head: the bytes end within it, or it is reserved

  unsigned major = kNone;   // 0 to 7
  unsigned info = 0;        // the low five bits of the first byte; 31: indefinite length, or break
  std::uint64_t value = 0;  // a number, or a length, or the bits of a float
  std::size_t size = 0;     // bytes of the head, 1 to 9

  /// Whether no shorter head says the same.
  [[nodiscard]] constexpr bool is_shortest() const {
    if (info < 24 || info > 27) return true;
    // What half as many bytes can say; below 24 the first byte says it alone.
    return value >= (info == 24 ? 24 : std::uint64_t{1} << (4u << (info - 24)));
  }
};

[[nodiscard]] constexpr CborHead read_cbor_head(std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) return {};
  const unsigned first = bytes[0];
  const unsigned info = first & 31u;
  CborHead head{.major = first >> 5u, .info = info, .value = info, .size = 1};
  if (info < 24 || info == 31) return head;
  if (info > 27) return {};
  const std::size_t more = std::size_t{1} << (info - 24);
  if (bytes.size() < 1 + more) return {};
  head.value = 0;
  for (std::size_t i = 1; i <= more; ++i) head.value = head.value << 8 | bytes[i];
  head.size += more;
  return head;
}

/// Adds the shortest head.
inline void put_cbor_head(std::vector<std::uint8_t>& bytes, unsigned major, std::uint64_t value) {
  const auto first = static_cast<std::uint8_t>(major << 5);
  if (value < 24) return bytes.push_back(static_cast<std::uint8_t>(first | value));
  const unsigned power = value < 1u << 8 ? 0 : value < 1u << 16 ? 1 : value < std::uint64_t{1} << 32 ? 2 : 3;
  bytes.push_back(static_cast<std::uint8_t>(first | (24 + power)));
  for (int shift = (8 << power) - 8; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(value >> shift));
}

}  // namespace pgrid::control
