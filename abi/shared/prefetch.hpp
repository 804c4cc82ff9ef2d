// Asking for a cache line before it is needed.
#pragma once

#include <cstddef>

namespace pgrid::abi {

/// Of a line that will be written. On x86-64 by PREFETCHW, which takes it away from the other core at once; compilers use
/// that only when they are told of a newer CPU, and older ones take it for no operation. Any address is harmless.
inline void fetch_to_write(const std::byte* address) noexcept {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*address));
#else
  __builtin_prefetch(address, 1);
#endif
}

}  // namespace pgrid::abi
