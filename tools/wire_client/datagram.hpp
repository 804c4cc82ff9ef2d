// Message-1 datagrams as a client builds and reads them (abi/wire/message-1.md), with the generated FlatBuffers code.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <vector>

#include "abi/shared/reason.hpp"
#include "abi/wire/envelope.hpp"
#include "abi/wire/grid_uri.hpp"
#include "drivers/base/result.hpp"

namespace pgrid::tools {

/// A request, built once; its id and the bytes of its body may then be changed in place and the datagram sent again.
class RequestDatagram {
 public:
  /// `deadline_us` 0: the right's maximum. Refuses a body beyond 1,024 bytes.
  [[nodiscard]] static Result<RequestDatagram> build(const wire::RightRef& to, std::span<const std::byte> body,
                                                     std::uint64_t id, std::uint32_t deadline_us = 0);

  void set_id(std::uint64_t id);
  [[nodiscard]] std::span<std::byte> body() { return std::span(bytes_).subspan(body_offset_, body_size_); }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
  std::size_t id_offset_ = 0;
  std::size_t body_offset_ = 0;
  std::size_t body_size_ = 0;
};

/// What came back. Borrows from the datagram.
struct Answer {
  abi::Kind kind;
  abi::Reason reason;
  std::uint64_t id;  // as RequestDatagram wrote it
  std::span<const std::byte> body;
};

enum class NotAnAnswer {
  envelope,  // not a message-1 datagram
  message,   // the FlatBuffers verifier refuses it, or there is no id
  kind,      // a request, or a kind that message-1 does not define
};

/// Checks everything before it reads it. `datagram` lies anywhere; see ReceiveBuffer for where it is read without a copy.
[[nodiscard]] std::expected<Answer, NotAnAnswer> read_answer(std::span<const std::byte> datagram);

/// Room for one datagram, laid so that byte 50 is aligned to 4. One byte longer than the longest, so that a longer one
/// shows.
class ReceiveBuffer {
 public:
  [[nodiscard]] std::span<std::byte> room() { return std::span(bytes_).subspan(2); }

 private:
  alignas(4) std::array<std::byte, 2 + wire::kPayloadMax + 1> bytes_;
};

}  // namespace pgrid::tools
