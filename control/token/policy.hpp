// What a delegation demands of the arguments of the invocation that uses it (UCAN delegation, "Policy").
#pragma once

#include "control/token/dag_cbor.hpp"

namespace pgrid::token {

/// Whether `policy`, an item that `check` accepted, is a list of statements nested at most `depth_max` deep;
/// a statement that holds none is 1 deep. valid, malformed or policy_too_deep, as the first fault from the
/// left is.
[[nodiscard]] Reason check_policy(Bytes policy, unsigned depth_max);

/// Whether every statement holds for `args`. REQUIRES: check_policy found the policy valid. Time is bounded
/// by the product of both lengths.
[[nodiscard]] bool satisfies(Bytes policy, Bytes args);

/// A pattern with "*" for any characters and "\*" for a star itself.
[[nodiscard]] bool is_like(std::string_view text, std::string_view pattern);

}  // namespace pgrid::token
