// A token bucket as one word: the generic cell rate algorithm (ITU-T I.371). The word is the time at which
// the bucket would be full again; a message moves it one interval ahead, and may do so while it is no more
// than the depth away. Full is any time in the past, so a cleared word is a full bucket.
//
// Each poll core has its own bucket for each right, with its share of rate and depth.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>

namespace pgrid::dataplane {

/// What a right allows on one poll core, in ticks.
struct BucketShape {
  std::uint64_t interval = 0;  // between messages at the full rate; 0: no limit
  std::uint64_t depth = 0;     // how far ahead of now the word may be: (messages in a burst - 1) * interval
};

/// Share of one of `poll_cores`. REQUIRES: rate > 0. The interval is tsc_hz / (rate / poll_cores),
/// rounded up: never more than the rate. A share of the burst is at least one message, otherwise
/// nothing could ever pass.
[[nodiscard]] constexpr BucketShape bucket_shape(std::uint32_t rate, std::uint32_t burst,
                                                 std::uint32_t poll_cores, std::uint64_t tsc_hz) noexcept {
  // 2^33 Hz * 8 poll cores fits 36 bits; times a burst of up to 2^32 may not fit 64:
  // saturate at 2^62 (decades).
  constexpr std::uint64_t kForever = std::uint64_t{1} << 62;
  const std::uint64_t interval = (tsc_hz * poll_cores + rate - 1) / rate;
  const std::uint64_t share = std::max<std::uint64_t>(burst / poll_cores, 1) - 1;
  const std::uint64_t depth = share != 0 && interval > kForever / share ? kForever : share * interval;
  return {interval, depth};
}

/// Takes one token, or leaves the bucket as it is. `word` is written by the calling thread only.
[[nodiscard]] inline bool take_token(std::atomic<std::uint64_t>& word, const BucketShape& shape,
                                     std::uint64_t now) noexcept {
  const std::uint64_t full_at = std::max(word.load(std::memory_order_relaxed), now);
  if (full_at - now > shape.depth) return false;
  word.store(full_at + shape.interval, std::memory_order_relaxed);
  return true;
}

}  // namespace pgrid::dataplane
