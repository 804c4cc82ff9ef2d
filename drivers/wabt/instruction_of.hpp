// wabt's opcodes in our terms.
#pragma once

#include <wabt/opcode.h>

#include "drivers/wabt/code.hpp"

namespace pgrid::code {

/// As Instruction::gives.
[[nodiscard]] std::uint8_t width_of(wabt::Type type);

/// For instructions whose operands' types the opcode tells. Locals, calls, constants and blocks are the
/// reader's affair.
[[nodiscard]] Instruction instruction_of(wabt::Opcode opcode);

}  // namespace pgrid::code
