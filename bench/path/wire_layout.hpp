// The file that bench/path/wire.py and the wire in the data plane share: orders one way, a report the other.
// Words of 8 bytes, little-endian; the Python side reads them at these offsets.
//
//   WireOrders   64 bytes
//   WireReport   128 bytes
//   buckets[kWireBuckets], from rx_burst; buckets[kWireBuckets], from when a paced request was due
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace pgrid::bench {

using Word = std::atomic<std::uint64_t>;
static_assert(Word::is_always_lock_free && sizeof(Word) == 8);

struct alignas(64) WireOrders {
  Word round;        // another number begins a measurement: everything in the report is zero again
  Word outstanding;  // closed loop: so many requests wait for their answer; 0 and no rate: nothing is sent
  Word rate;         // requests a second, evenly spaced; 0: closed loop
  Word reserved[5];
};

struct alignas(64) WireReport {
  Word round;  // which one it is about
  Word tsc_hz;
  Word first_tsc;  // of the first request
  Word last_tsc;   // of the last answer
  Word sent;
  Word answered;    // frames long enough to hold the request's body
  Word refused;     // shorter ones
  Word unexpected;  // nobody waited for them
  Word missed;      // paced: due while kWireSlots were waiting already; never sent
  Word in_flight;
  Word reserved[6];
};
static_assert(sizeof(WireOrders) == 64 && sizeof(WireReport) == 128);

inline constexpr std::uint32_t kWireSlots =
    4096;  // requests that may wait: one frame, one UDP source port each
inline constexpr std::uint16_t kWireFirstPort = 10000;

// Exact below 64 ns, then 64 buckets to a power of two (1.6 % wide), up to 2^36 ns, 69 s.
inline constexpr std::uint32_t kWireBits = 6;
inline constexpr std::uint32_t kWireBuckets = (36 - kWireBits + 1) << kWireBits;

constexpr std::uint32_t wire_bucket(std::uint64_t ns) {
  if (ns < (1u << kWireBits)) return static_cast<std::uint32_t>(ns);
  const auto shift = static_cast<std::uint32_t>(std::bit_width(ns)) - kWireBits - 1;
  const auto bucket = static_cast<std::uint32_t>((shift << kWireBits) + (ns >> shift));
  return bucket < kWireBuckets ? bucket : kWireBuckets - 1;
}
// The same pairs as in tests/bench/path_test.py.
static_assert(wire_bucket(0) == 0 && wire_bucket(63) == 63 && wire_bucket(64) == 64 &&
              wire_bucket(127) == 127 && wire_bucket(128) == 128 && wire_bucket(129) == 128 &&
              wire_bucket(1000) == 317 && wire_bucket(1'000'000) == 954);

inline constexpr std::size_t kWireFileBytes =
    sizeof(WireOrders) + sizeof(WireReport) + 2 * kWireBuckets * sizeof(Word);

}  // namespace pgrid::bench
