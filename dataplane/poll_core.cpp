// The poll core over DPDK ports, compiled once.
#include "dataplane/poll_core.hpp"

#include "dataplane/dpdk_io.hpp"

namespace pgrid::dataplane {

template class PollCore<DpdkIo>;

}  // namespace pgrid::dataplane
