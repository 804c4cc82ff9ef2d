// Writes the frame of an answer or non-commitment, Ethernet header to last byte.
//
// Its FlatBuffer is not built but laid out: constant bytes, patched. Constant bytes have a constant sum, so
// the UDP checksum costs the patches and the body only, and the body is summed while it is copied.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "abi/shared/reason.hpp"
#include "dataplane/parse.hpp"
#include "dataplane/return_path.hpp"

namespace pgrid::dataplane {

struct AnswerFields {
  abi::Kind kind = abi::Kind::answer;
  abi::Reason reason = abi::Reason::none;
  std::array<std::uint8_t, 8> id{};  // the request's
  const RightOnWire* to = nullptr;   // the request's reply_to; may be null
};

/// Bytes of UDP payload of an answer.
[[nodiscard]] std::size_t answer_payload_size(bool has_to, std::size_t body_length) noexcept;

/// Bytes of the whole frame. At most 62 + 4 + 1,232.
[[nodiscard]] std::size_t answer_frame_size(const ReturnPath& path, bool has_to,
                                            std::size_t body_length) noexcept;
inline constexpr std::size_t kAnswerFrameMax = 14 + 4 + 40 + 8 + wire::kPayloadMax;

/// Writes answer_frame_size(path, fields.to != nullptr, body.size()) bytes to `out` and returns that size.
/// REQUIRES: body.size() <= abi::kBodyMax. With `offload_checksums` the IPv4 checksum is zero and the UDP
/// checksum is the pseudo-header's sum, not complemented, as DPDK's transmit offload wants it.
std::size_t write_answer_frame(std::byte* out, const ReturnPath& path, const AnswerFields& fields,
                               std::span<const std::byte> body, bool offload_checksums) noexcept;

}  // namespace pgrid::dataplane
