#include "dataplane/refuse.hpp"

#include <sodium/crypto_hash_sha256.h>
#include <xxhash.h>

#include <cstring>

namespace pgrid::dataplane {

RefusalLimiter::RefusalLimiter(std::uint64_t seed, std::uint64_t tsc_hz, std::uint32_t poll_cores)
    : seed_(seed),
      shape_(bucket_shape(kRefusalRate, kRefusalBurst, poll_cores, tsc_hz)),
      buckets_(std::make_unique<std::atomic<std::uint64_t>[]>(kRefusalBuckets)) {}  // zero: all full

bool RefusalLimiter::allow(const Frame& frame, std::uint64_t now_tsc) noexcept {
  std::byte prefix[8] = {};
  prefix[7] = std::byte{frame.ip_version};
  std::memcpy(prefix, frame.source_address().data(), frame.ip_version == 4 ? 3 : 7);  // /24, /56
  const std::uint64_t hash = XXH3_64bits_withSeed(prefix, sizeof prefix, seed_);
  return take_token(buckets_[hash % kRefusalBuckets], shape_, now_tsc);
}

std::size_t write_refusal(std::byte* out, const Frame& frame, const ReturnPath& path,
                          const MessageView& message, abi::Reason reason, RefusalLimiter& limiter,
                          std::uint64_t now_tsc, bool offload_checksums) noexcept {
  if (message.kind != abi::Kind::request) return 0;
  if (answer_payload_size(message.reply_to != nullptr, 0) > frame.payload.size()) return 0;
  if (!limiter.allow(frame, now_tsc)) return 0;
  const AnswerFields fields{abi::Kind::non_commitment, reason, message.id, message.reply_to};
  return write_answer_frame(out, path, fields, {}, offload_checksums);
}

std::size_t write_unknown_protocol(std::byte* out, const Frame& frame, const ReturnPath& path,
                                   RefusalLimiter& limiter, std::uint64_t now_tsc,
                                   bool offload_checksums) noexcept {
  if (answer_payload_size(false, 0) >= frame.payload.size()) return 0;
  if (!limiter.allow(frame, now_tsc)) return 0;
  std::uint8_t hash[crypto_hash_sha256_BYTES];
  crypto_hash_sha256(hash, reinterpret_cast<const std::uint8_t*>(frame.payload.data()), frame.payload.size());
  AnswerFields fields{abi::Kind::non_commitment, abi::Reason::unknown_protocol, {}, nullptr};
  std::memcpy(fields.id.data(), hash, fields.id.size());
  return write_answer_frame(out, path, fields, {}, offload_checksums);
}

}  // namespace pgrid::dataplane
