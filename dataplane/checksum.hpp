// The internet checksum (RFC 1071): the one's complement of the one's complement sum of 16-bit words.
//
// Sums are kept in the machine's byte order, which RFC 1071 section 2(B) allows: the folded result is stored
// as it is and lands in network order. A `ChecksumSum` adds 32-bit words into 64 bits, so it can take 2^32 of
// them before it must be folded; partial sums over ranges that begin at an even offset are simply added.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/bytes.hpp"
#include "dataplane/checksum_wide.hpp"

namespace pgrid::dataplane {

using ChecksumSum = std::uint64_t;
static_assert(std::endian::native == std::endian::little);

inline constexpr std::uint8_t kProtocolUdp = 17;
inline constexpr std::uint8_t kProtocolIcmp = 1;
inline constexpr std::uint8_t kProtocolIcmpV6 = 58;

/// A 16-bit number as it counts in a sum when it stands in network order.
constexpr ChecksumSum word_sum(std::uint16_t value) {
  return static_cast<std::uint16_t>(value << 8 | value >> 8);
}

/// Down to 16 bits, carries added back: the upper half of a number plus itself with its halves changed over is the sum of both
/// halves, with the carry out of the lower one, which is the carry of the sum.
[[nodiscard]] constexpr std::uint16_t fold(ChecksumSum sum) noexcept {
  const auto words = static_cast<std::uint32_t>((sum + std::rotl(sum, 32)) >> 32);
  return static_cast<std::uint16_t>((words + std::rotl(words, 16)) >> 16);
}

namespace detail {

// Two 64-bit lanes: SSE2 and NEON, which every machine this runs on has. Each 16 bytes become four 32-bit
// additions.
using Lanes = std::uint64_t __attribute__((vector_size(16)));

template <bool copy>
[[nodiscard]] [[gnu::always_inline]] inline ChecksumSum sum_or_copy(std::byte* to, const std::byte* from,
                                                                    std::size_t length) noexcept {
  ChecksumSum sum = 0;
  if (length >= 16) {
    Lanes low = {0, 0};
    Lanes high = {0, 0};
    const auto add = [&](Lanes& a, Lanes& b) {
      Lanes lanes;
      std::memcpy(&lanes, from, sizeof lanes);
      if constexpr (copy) {
        std::memcpy(to, &lanes, sizeof lanes);
        to += 16;
      }
      a += lanes & 0xffff'ffff;
      b += lanes >> 32;
      from += 16;
      length -= 16;
    };
    if (length >= 64) {  // two pairs of sums, so that no addition waits for the one before it
      Lanes low2 = {0, 0};
      Lanes high2 = {0, 0};
      do {
        add(low, high);
        add(low2, high2);
        add(low, high);
        add(low2, high2);
      } while (length >= 64);
      low += low2;
      high += high2;
    }
    while (length >= 16) add(low, high);
    low += high;
    sum = low[0] + low[1];
  }
  // The rest, up to 15 bytes; an odd last byte counts as if a zero followed it.
  const auto take = [&]<typename Word>(Word word) {
    std::memcpy(&word, from, sizeof word);
    if constexpr (copy) {
      std::memcpy(to, &word, sizeof word);
      to += sizeof word;
    }
    from += sizeof word;
    if constexpr (sizeof word == 8)
      sum += (word & 0xffff'ffff) + (word >> 32);
    else
      sum += word;
  };
  if ((length & 8) != 0) take(std::uint64_t{});
  if ((length & 4) != 0) take(std::uint32_t{});
  if ((length & 2) != 0) take(std::uint16_t{});
  if ((length & 1) != 0) take(std::uint8_t{});
  return sum;
}

}  // namespace detail

/// Sum of `length` bytes that begin at an even offset of whatever is being summed.
[[nodiscard]] inline ChecksumSum sum_bytes(const std::byte* bytes, std::size_t length) noexcept {
#if defined(__x86_64__)
  if (length >= detail::kWideFrom && detail::kHasAvx2) return detail::sum_or_copy_wide<false>(nullptr, bytes, length);
#endif
  return detail::sum_or_copy<false>(nullptr, bytes, length);
}

/// Copies and sums in one pass. The ranges do not overlap.
[[nodiscard]] inline ChecksumSum copy_and_sum(std::byte* to, const std::byte* from,
                                              std::size_t length) noexcept {
#if defined(__x86_64__)
  if (length >= detail::kWideFrom && detail::kHasAvx2) return detail::sum_or_copy_wide<true>(to, from, length);
#endif
  return detail::sum_or_copy<true>(to, from, length);
}

/// Pseudo-header of UDP, ICMPv6 over IPv4 (RFC 768) or IPv6 (RFC 8200 section 8.1): both addresses, as they
/// lie one behind the other in the IP header, the protocol and the length of what follows the IP header.
[[nodiscard]] inline ChecksumSum pseudo_header_v4(const std::byte* addresses, std::uint8_t protocol,
                                                  std::size_t length) noexcept {
  return ChecksumSum{load_native32(addresses)} + load_native32(addresses + 4) + word_sum(protocol) +
         word_sum(static_cast<std::uint16_t>(length));
}
[[nodiscard]] inline ChecksumSum pseudo_header_v6(const std::byte* addresses, std::uint8_t protocol,
                                                  std::size_t length) noexcept {
  return sum_bytes(addresses, 32) + word_sum(protocol) + word_sum(static_cast<std::uint16_t>(length));
}

/// What to store in a checksum field, for a sum over everything with that field zero.
[[nodiscard]] constexpr std::uint16_t checksum_of(ChecksumSum sum) noexcept {
  return static_cast<std::uint16_t>(~fold(sum));
}
/// The same for UDP, where zero would mean "none" (RFC 768).
[[nodiscard]] constexpr std::uint16_t udp_checksum_of(ChecksumSum sum) noexcept {
  const std::uint16_t checksum = checksum_of(sum);
  return checksum == 0 ? std::uint16_t{0xffff} : checksum;
}
/// Whether a sum over everything, checksum field included, is right.
[[nodiscard]] constexpr bool checksum_is_good(ChecksumSum sum) noexcept { return fold(sum) == 0xffff; }

}  // namespace pgrid::dataplane
