#include "drivers/dpdk/mbuf_pool.hpp"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf_pool_ops.h>

#include <algorithm>

#include "drivers/dpdk/eal_log.hpp"

namespace pgrid::dpdk {
namespace {

constexpr std::size_t kLine = 64;

std::uint32_t buffer_size(const MbufPoolOptions& options) {
  return RTE_PKTMBUF_HEADROOM + std::uint32_t{options.data_room};
}

/// rte_pktmbuf_pool_create, except that buffers may cross pages. Without huge pages DPDK would otherwise put
/// one mbuf of 2.4 KiB into each page of 4 KiB. Buffers need not be contiguous in bus addresses: that memory
/// is never given to a device by physical address (EAL runs with IOVA as VA then). With huge pages only where
/// one piece is asked for: DPDK leaves a gap at the end of each page otherwise.
rte_mempool* create_pool(const MbufPoolOptions& options) {
  const bool across_pages = options.one_piece || rte_eal_has_hugepages() == 0;
  const unsigned flags = across_pages ? RTE_MEMPOOL_F_NO_IOVA_CONTIG : 0;
  rte_mempool* const pool =
      rte_mempool_create_empty(options.name.c_str(), options.count, sizeof(rte_mbuf) + buffer_size(options),
                               options.cache, sizeof(rte_pktmbuf_pool_private), SOCKET_ID_ANY, flags);
  if (pool == nullptr) return nullptr;
  int failed = rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), nullptr);
  if (failed == 0) {
    rte_pktmbuf_pool_private data{};
    data.mbuf_data_room_size = static_cast<std::uint16_t>(buffer_size(options));
    rte_pktmbuf_pool_init(pool, &data);
    failed = std::min(rte_mempool_populate_default(pool), 0);
  }
  if (failed != 0) {
    rte_mempool_free(pool);
    rte_errno = -failed;
    return nullptr;
  }
  rte_mempool_obj_iter(pool, rte_pktmbuf_init, nullptr);
  return pool;
}

}  // namespace

Result<MbufPool> MbufPool::create(const MbufPoolOptions& options) {
  const std::string operation =
      "make mbuf pool " + options.name + " of " + std::to_string(options.count) + " buffers";
  if (buffer_size(options) > UINT16_MAX)
    return fail(Errc::invalid_argument, operation,
                "data room above " + std::to_string(UINT16_MAX - RTE_PKTMBUF_HEADROOM));
  const EalLogScope log;
  rte_mempool* const pool = create_pool(options);
  if (pool != nullptr) {
    MbufPool made(pool);
    if (options.one_piece && !made.is_one_piece())
      return fail(Errc::out_of_resources, operation,
                  "DPDK's memory is in pieces, and an af_xdp port needs one",
                  "free huge pages, or set huge_pages = false in node.toml");
    return made;
  }
  switch (rte_errno) {
    case ENOMEM:
    case ENOBUFS:
      return fail(Errc::out_of_resources, operation, "DPDK's memory is used up",
                  "it needs " + std::to_string((memory_of(options) >> 20) + 1) + " MiB: reserve more");
    case EEXIST:
      return fail(Errc::already_exists, operation, "there is one of that name");
    case EINVAL:
      return fail(Errc::invalid_argument, operation,
                  "a cache of " + std::to_string(options.cache) +
                      " does not fit (at most 512, and two thirds of the count)");
    default:
      return fail(Errc::internal, operation, describe(log, rte_errno));
  }
}

std::size_t memory_of(const MbufPoolOptions& options) {
  // One object: the mempool's header of one line, the mbuf's two lines, then the buffer; DPDK pads by up to
  // one more line so that objects spread over memory channels.
  const std::size_t object = kLine + 2 * kLine + (buffer_size(options) + kLine - 1) / kLine * kLine + kLine;
  // The ring of free objects has a power of two of pointers above the count; caches are part of the mempool
  // itself.
  std::size_t ring = 1;
  while (ring <= options.count) ring *= 2;
  return options.count * object + ring * sizeof(void*) + sizeof(rte_mempool) +
         RTE_MAX_LCORE * sizeof(rte_mempool_cache);
}

}  // namespace pgrid::dpdk
