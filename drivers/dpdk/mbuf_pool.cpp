#include "drivers/dpdk/mbuf_pool.hpp"

#include <rte_errno.h>
#include <rte_lcore.h>

#include "drivers/dpdk/eal_log.hpp"

namespace pgrid::dpdk {
namespace {

constexpr std::size_t kLine = 64;

std::uint32_t buffer_size(const MbufPoolOptions& options) {
  return RTE_PKTMBUF_HEADROOM + std::uint32_t{options.data_room};
}

}  // namespace

Result<MbufPool> MbufPool::create(const MbufPoolOptions& options) {
  const std::string operation =
      "make mbuf pool " + options.name + " of " + std::to_string(options.count) + " buffers";
  if (buffer_size(options) > UINT16_MAX)
    return fail(Errc::invalid_argument, operation, "data room above " + std::to_string(UINT16_MAX - RTE_PKTMBUF_HEADROOM));
  const EalLogScope log;
  rte_mempool* const pool =
      rte_pktmbuf_pool_create(options.name.c_str(), options.count, options.cache, 0,
                              static_cast<std::uint16_t>(buffer_size(options)), SOCKET_ID_ANY);
  if (pool != nullptr) return MbufPool(pool);
  switch (rte_errno) {
    case ENOMEM:
      return fail(Errc::out_of_resources, operation, "DPDK's memory is used up",
                  "it needs " + std::to_string((memory_of(options) >> 20) + 1) + " MiB: reserve more");
    case EEXIST: return fail(Errc::already_exists, operation, "there is one of that name");
    case EINVAL:
      return fail(Errc::invalid_argument, operation,
                  "a cache of " + std::to_string(options.cache) + " does not fit (at most 512, and two thirds of the count)");
    default: return fail(Errc::internal, operation, describe(log, rte_errno));
  }
}

std::size_t memory_of(const MbufPoolOptions& options) {
  // One object: the mempool's header of one line, the mbuf's two lines, then the buffer; DPDK pads by up to one more line
  // so that objects spread over memory channels.
  const std::size_t object = kLine + 2 * kLine + (buffer_size(options) + kLine - 1) / kLine * kLine + kLine;
  // The ring of free objects has a power of two of pointers above the count; caches are part of the mempool itself.
  std::size_t ring = 1;
  while (ring <= options.count) ring *= 2;
  return options.count * object + ring * sizeof(void*) + sizeof(rte_mempool) + RTE_MAX_LCORE * sizeof(rte_mempool_cache);
}

}  // namespace pgrid::dpdk
