// Kinds and reasons of messages: the same numbers on the wire (abi/wire/message-1.md), in rings and in guests
// (abi/guest/promisegrid.h). Numbers are only ever appended.
#pragma once

#include <cstdint>
#include <string_view>

namespace pgrid::abi {

enum class Kind : std::uint8_t {
  request = 0,         // asks for exactly one answer
  answer = 1,          // the promise was kept
  non_commitment = 2,  // it was not, or not taken on; `reason` says why
  notice = 3,          // tells something; never answered
};
inline constexpr std::uint8_t kKindCount = 4;

enum class Reason : std::uint16_t {
  none = 0,
  unknown_protocol = 1,  // no such pCID here
  no_such_right = 2,     // unknown, wrong key, old, expired, revoked: one answer for all
  not_permitted = 3,     // the right does not allow it
  quota_exceeded = 4,    // the right's rate
  busy = 5,              // ring, mailbox or in-flight table full; nothing was done, try again later
  too_large = 6,         // body longer than the right allows
  broken = 7,            // the function trapped, passed a limit, or never read the message
  declined = 8,          // the function said no: neutral for reputation
  no_answer = 9,         // the deadline passed; the outcome is unknown
  process_failed = 10,   // the process died with this message in hand; the outcome is unknown
};
inline constexpr std::uint16_t kReasonCount = 11;

constexpr std::string_view name_of(Kind kind) {
  constexpr std::string_view names[] = {"request", "answer", "non_commitment", "notice"};
  const auto i = static_cast<std::uint8_t>(kind);
  return i < kKindCount ? names[i] : "unknown";
}

constexpr std::string_view name_of(Reason reason) {
  constexpr std::string_view names[] = {"none",     "unknown_protocol", "no_such_right", "not_permitted",
                                        "quota_exceeded", "busy",       "too_large",     "broken",
                                        "declined", "no_answer",        "process_failed"};
  const auto i = static_cast<std::uint16_t>(reason);
  return i < kReasonCount ? names[i] : "unknown";
}

}  // namespace pgrid::abi
