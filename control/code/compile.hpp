// From a module to the image that workers run. What pgrid-compile does, as a function: control runs it in a child, because
// compile time and memory of a hostile module are outside what Wasmtime promises to bound.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "drivers/base/result.hpp"

namespace pgrid::control {

/// Refusals are Errc::invalid_argument with a sentence for the module's author.
[[nodiscard]] Result<std::vector<std::byte>> compile_function(std::span<const std::byte> wasm,
                                                              std::uint64_t memory_bytes);

}  // namespace pgrid::control
