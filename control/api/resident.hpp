// How much memory a process of the node really occupies, as the kernel counts it.
#pragma once

#include <cstdint>

namespace pgrid::control {

/// Bytes of `pid` that are in memory now, shared segments that it touched included; 0: there is no such
/// process or the kernel does not tell.
[[nodiscard]] std::uint64_t resident_bytes(std::uint32_t pid);

}  // namespace pgrid::control
