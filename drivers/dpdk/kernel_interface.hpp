// A network interface that the kernel keeps and that an af_xdp port shares.
#pragma once

#include <cstdint>

#include "drivers/base/result.hpp"
#include "drivers/dpdk/device_spec.hpp"

namespace pgrid::dpdk {

/// Whether the interface exists, is up, and has `queues` receive queues for us: all that it has, because
/// frames that come in on another one stay with the kernel, unless the user has chosen a start queue.
[[nodiscard]] Result<void> check_kernel_interface(const DeviceSpec& spec, std::uint16_t queues);

}  // namespace pgrid::dpdk
