// A request's body, read: bounds first, then form, then meaning of each field by itself. What the fields mean
// together is its operation's affair.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

#include "control/promise/protocol.hpp"

namespace pgrid::control {

/// Borrows from the body. A field that is not there is zero or empty; `has` tells which are.
struct PromiseRequest {
  Op op{};
  std::uint32_t keys = 0;  // bit n: key n is there
  std::uint64_t label = 0;
  std::uint64_t can = 0;
  std::uint64_t rate = 0;
  std::uint64_t burst = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t body_max = 0;
  std::uint64_t deadline_us = 0;
  std::uint64_t expires_ms = 0;
  std::uint64_t number = 0;
  std::string_view who;
  std::uint64_t us = 0;
  std::uint64_t count = 0;
  std::string_view text;
  std::array<std::string_view, kTagsMax> tags{};
  std::size_t nb_tags = 0;
  bool open = false;
  std::string_view name;
  bool want = false;
  std::uint64_t since = 0;
  std::span<const std::uint8_t> bytes;
  bool more = false;
  std::span<const std::uint8_t> cid;
  std::string_view after;

  [[nodiscard]] bool has(Field key) const { return (keys >> static_cast<unsigned>(key) & 1) != 0; }
};

/// `nb_rights`: carried by the message. Refused (declined): what promise-1.md does not allow.
[[nodiscard]] std::expected<PromiseRequest, Refusal> read_request(std::span<const std::uint8_t> body,
                                                                  std::size_t nb_rights);

}  // namespace pgrid::control
