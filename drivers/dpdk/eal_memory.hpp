// Which kind of memory the EAL can have on this machine. Pure reading of /sys; for eal.cpp.
#pragma once

#include <cstdint>
#include <string>

namespace pgrid::dpdk {

/// Why `mib` MiB of huge pages cannot be had now, in a few words with the command that mends it; empty: they
/// can.
[[nodiscard]] std::string why_no_huge_pages(std::uint32_t mib);

}  // namespace pgrid::dpdk
