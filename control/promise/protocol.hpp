// The words of promise-1 (abi/wire/promise-1.md): operations, keys, bounds. Numbers are only ever appended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "abi/shared/reason.hpp"
#include "control/name.hpp"

namespace pgrid::control {

enum class Op : std::uint8_t {
  mint = 1,
  derive = 2,
  grant = 3,
  attenuate = 4,
  revoke = 5,
  drop = 6,
  notify = 7,
  timer = 8,
  random = 9,
  advertise = 10,
  discover = 11,
  issue_token = 12,
  redeem_token = 13,
  revoke_token = 14,
  history = 15,
};
inline constexpr std::uint8_t kOpEnd = 16;

enum class NoticeOp : std::uint8_t { right_died = 32, right_granted = 33 };

enum class Field : std::uint8_t {
  op = 0,
  label = 1,
  can = 2,
  rate = 3,
  burst = 4,
  in_flight = 5,
  body_max = 6,
  deadline_us = 7,
  expires_ms = 8,
  number = 9,
  who = 10,
  us = 11,
  count = 12,
  text = 13,
  tags = 14,
  open = 15,
  name = 16,
  why = 17,
  want = 18,
  since = 19,
  bytes = 20,
  more = 21,
  cid = 22,
  list = 23,
  verdict = 24,
  after = 25,
};

inline constexpr std::size_t kBodyWithRightsMax =
    928;  // bytes: abi::kBodyMax less 24 for each of four rights on the wire
inline constexpr std::uint64_t kTimerMaxUs = 60'000'000;  // as the longest deadline
inline constexpr std::uint64_t kRandomMax = 256;          // bytes
inline constexpr std::size_t kTextMax = 256;              // bytes, as all lengths of text
inline constexpr std::size_t kTagMax = 32;
inline constexpr std::size_t kTagsMax = 8;
inline constexpr std::size_t kWhoMax = 128;          // a did:key of Ed25519 has 56
inline constexpr std::size_t kTokenPartMax = 1'000;  // bytes in one body
inline constexpr std::size_t kTokensMax =
    40'960;  // ten tokens of 4 KiB: an invocation, eight delegations, and room
inline constexpr std::size_t kCidSize = 36;
inline constexpr std::uint64_t kHistoryMax = 64;  // events asked for
inline constexpr std::uint64_t kHistoryDefault = 16;

/// Why a request is not done: a reason for the program, a sentence for its developer.
struct Refusal {
  abi::Reason reason = abi::Reason::declined;
  std::string text;
};

}  // namespace pgrid::control
