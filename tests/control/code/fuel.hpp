// Runs a module and counts: Wasmtime's fuel is one unit for each instruction executed, but for blocks, ends
// and the like, which are free.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pgrid::tests {

struct Measured {
  enum class End { returned, trapped, out_of_fuel };
  End end = End::returned;
  std::uint64_t fuel = 0;             // of the call
  std::uint64_t fuel_of_message = 0;  // the most between two messages received
  std::uint32_t received = 0;
};

/// What promisegrid.receive gives, call by call: then 0 for ever. Of numbers above 0 at most 32 are given, as
/// a worker does.
using Received = std::vector<std::int32_t>;

/// Calls the export `entry`, or only instantiates when it is null. Fuel of the start function is not counted
/// with an entry.
[[nodiscard]] Measured run_with_fuel(std::span<const std::byte> wasm, const char* entry,
                                     const Received& received, std::uint64_t fuel);

}  // namespace pgrid::tests
