// From a module to what is known of it and to the image that workers run. What pgrid-compile does, as
// functions: control runs them in a child, because time and memory that a hostile module costs are outside
// what Wasmtime and wabt promise to bound.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "drivers/base/result.hpp"

namespace pgrid::control {

struct CheckedFunction {
  std::string verdict;           // JSON on one line: control/code/verdict.hpp
  std::vector<std::byte> image;  // empty when only verified
};

enum class Effort { verify_only, compile };

/// Validator first, then the analysis, then the compiler. Refusals are Errc::invalid_argument with a sentence
/// for the module's author. `memory_bytes`: what the function may use.
[[nodiscard]] Result<CheckedFunction> check_function(std::span<const std::byte> wasm,
                                                     std::uint64_t memory_bytes, Effort effort);

/// The image alone.
[[nodiscard]] Result<std::vector<std::byte>> compile_function(std::span<const std::byte> wasm,
                                                              std::uint64_t memory_bytes);

}  // namespace pgrid::control
