// The poll cores' clock: the time stamp counter, calibrated by the EAL.
#pragma once

#include <rte_cycles.h>
#include <rte_pause.h>

#include <cstdint>

namespace pgrid::dpdk {

/// Ticks since some moment; the same moment on every core of a machine with an invariant TSC.
[[nodiscard]] inline std::uint64_t tsc() noexcept { return rte_rdtsc(); }
/// Ticks per second. Only after Eal::init.
[[nodiscard]] inline std::uint64_t tsc_hz() noexcept { return rte_get_tsc_hz(); }
/// Tells the core that this is a spin loop.
inline void pause() noexcept { rte_pause(); }

}  // namespace pgrid::dpdk
