// What a token for a right says, in UCAN's words: the command, and a policy that bounds the arguments with
// which the right is asked for (docs/TOKENS.md, "A right as a token").
#pragma once

#include <optional>
#include <vector>

#include "control/token/dag_cbor.hpp"

namespace pgrid::token {

inline constexpr std::string_view kSendCommand = "/promisegrid/send";

/// Permissions, as abi/shared/right_table.hpp numbers them; a test holds them to it.
inline constexpr std::uint8_t kSend = 1;
inline constexpr std::uint8_t kDerive = 2;
inline constexpr std::uint8_t kCarry = 4;

/// What is left out is as in the right that the token is for.
struct Terms {
  std::optional<std::uint8_t> can;    // kSend, ...
  std::optional<std::uint32_t> rate;  // messages per second, at least 1
  std::optional<std::uint32_t> burst;
  std::optional<std::uint32_t> in_flight;
  std::optional<std::uint32_t> body_max;
  std::optional<std::uint32_t> deadline_us;
};

/// Statements that bound each term that is given, as DAG-CBOR.
[[nodiscard]] std::vector<std::uint8_t> policy_of(const Terms& terms);
/// The terms as an invocation's arguments.
[[nodiscard]] std::vector<std::uint8_t> arguments_of(const Terms& terms);
/// Nothing: they hold what is no term, or none of its values. An argument that nobody understands is not
/// granted.
[[nodiscard]] std::optional<Terms> terms_in(Bytes arguments);

/// Narrows `terms` to what the statements of a policy allow that are written as policy_of writes them. Others
/// are left for whoever verifies to judge.
void narrow(Terms& terms, Bytes policy);

}  // namespace pgrid::token
