// Saying no before a sender has shown a right. Whoever sends such a datagram may lie about where it comes
// from, so a refusal is never longer than what it answers, rare per source prefix, and never answers an
// answer.
//
// Loops: only a request is refused, and a refusal is no request. A datagram with an unknown pCID cannot be
// told apart from somebody's refusal; it is refused only if it is longer than the refusal, so two nodes that
// do not know each other's protocol fall silent after a few datagrams.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "abi/shared/reason.hpp"
#include "dataplane/answer.hpp"
#include "dataplane/frame.hpp"
#include "dataplane/parse.hpp"
#include "dataplane/token_bucket.hpp"

namespace pgrid::dataplane {

inline constexpr std::uint32_t kRefusalRate =
    100;  // refusals per second and source prefix, over all poll cores
inline constexpr std::uint32_t kRefusalBurst = 64;
inline constexpr std::uint32_t kRefusalBuckets = 4096;  // 32 KiB per poll core; prefixes that collide share

/// Owned by one poll core. Everything is allocated at construction. Prefixes: /24 of IPv4, /56 of IPv6, which
/// is what one household or site commonly has.
class RefusalLimiter {
 public:
  /// `seed` is random, so that nobody can choose prefixes that collide.
  RefusalLimiter(std::uint64_t seed, std::uint64_t tsc_hz, std::uint32_t poll_cores);

  /// Takes one token of the source's prefix. False: it had its share.
  [[nodiscard]] bool allow(const Frame& frame, std::uint64_t now_tsc) noexcept;

 private:
  std::uint64_t seed_;
  BucketShape shape_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> buckets_;
};

/// Writes the refusal of a message that was not authorized, and returns its frame's length, or 0 when none
/// may be sent: not a request, longer than the request, or over the limit (count `refusals_suppressed` unless
/// the kind is the reason).
[[nodiscard]] std::size_t write_refusal(std::byte* out, const Frame& frame, const ReturnPath& path,
                                        const MessageView& message, abi::Reason reason,
                                        RefusalLimiter& limiter, std::uint64_t now_tsc,
                                        bool offload_checksums) noexcept;

/// The same for a datagram with an unknown pCID: reason unknown_protocol, id the first 8 bytes of the SHA-256
/// of the UDP payload. 0 also when the datagram is not longer than the refusal.
[[nodiscard]] std::size_t write_unknown_protocol(std::byte* out, const Frame& frame, const ReturnPath& path,
                                                 RefusalLimiter& limiter, std::uint64_t now_tsc,
                                                 bool offload_checksums) noexcept;

}  // namespace pgrid::dataplane
