// The Unix socket at which the two sides of a memif meet, looked at before DPDK uses it.
#pragma once

#include "drivers/base/result.hpp"
#include "drivers/dpdk/device_spec.hpp"

namespace pgrid::dpdk {

/// For a server: the folder is there, nobody listens at the path, and a socket that a killed node left is
/// gone. For a client: somebody listens.
[[nodiscard]] Result<void> prepare_memif_socket(const DeviceSpec& spec);

}  // namespace pgrid::dpdk
