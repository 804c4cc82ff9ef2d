// One pass over a module by wabt's BinaryReader.
#pragma once

#include <span>

#include "drivers/base/result.hpp"
#include "drivers/wabt/code.hpp"

namespace pgrid::code {

/// REQUIRES: Wasmtime's validator has accepted the module, for wabt believes more than it checks. Run it in a
/// limited process all the same. Unsupported: wabt does not know the module's language.
[[nodiscard]] Result<Module> read_module(std::span<const std::byte> wasm);

}  // namespace pgrid::code
