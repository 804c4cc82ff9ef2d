// What integer instructions make of what is known of their operands.
#pragma once

#include "control/code/value.hpp"

namespace pgrid::control {

/// One operand: eqz, wrap, extend, sign_extend, count_bits.
[[nodiscard]] Value compute(const code::Instruction& in, const Value& x, Names& names);
/// Two operands: arithmetic and comparisons.
[[nodiscard]] Value compute(const code::Instruction& in, const Value& x, const Value& y, Names& names);
/// x when `condition` is not 0, else y.
[[nodiscard]] Value select(const Value& x, const Value& y, const Value& condition, Names& names);
/// What a load of fewer bits than its result has can give.
[[nodiscard]] Value loaded(const code::Instruction& in, Names& names);

}  // namespace pgrid::control
