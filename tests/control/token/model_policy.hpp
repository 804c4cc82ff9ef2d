// What the model's own files share.
#pragma once

#include "tests/control/token/model.hpp"

namespace pgrid::model {

/// Throws Refused: malformed or policy_too_deep.
void check_policy(const Value& policy, unsigned depth);

}  // namespace pgrid::model
