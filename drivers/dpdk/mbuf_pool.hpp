// A pool of packet buffers.
#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <cstdint>
#include <string>

#include "drivers/base/result.hpp"
#include "drivers/base/unique_handle.hpp"
#include "drivers/dpdk/packet_burst.hpp"

namespace pgrid::dpdk {

struct MbufPoolOptions {
  std::string name;                // unique in this process, at most 25 characters
  std::uint32_t count = 0;         // mbufs; 2^n - 1 wastes no memory
  std::uint16_t cache = 256;       // mbufs that each lcore may keep for itself; at most 512 and count / 1.5
  std::uint16_t data_room = 2048;  // bytes of packet that one mbuf holds; the headroom of 128 comes on top
  // All buffers in one piece of memory without gaps, as net_af_xdp needs it: it gives the kernel the whole
  // pool and counts on this, without looking.
  bool one_piece = false;
};

/// Owner of a mempool of mbufs. Made by the main lcore; `alloc` on any EAL lcore. Outlives every packet taken
/// from it and every port that receives into it.
class MbufPool {
 public:
  [[nodiscard]] static Result<MbufPool> create(const MbufPoolOptions& options);

  /// A fresh packet of length 0, or an empty Packet when the pool has none left.
  [[nodiscard]] Packet alloc() const noexcept { return Packet(rte_pktmbuf_alloc(pool_.get())); }
  /// `count` fresh mbufs, or none at all.
  [[nodiscard]] bool alloc_bulk(rte_mbuf** mbufs, std::uint16_t count) const noexcept {
    return rte_pktmbuf_alloc_bulk(pool_.get(), mbufs, count) == 0;
  }

  /// Whether all buffers lie in one piece of memory without gaps.
  [[nodiscard]] bool is_one_piece() const noexcept {
    return pool_->nb_mem_chunks == 1 && (pool_->flags & RTE_MEMPOOL_F_NO_IOVA_CONTIG) != 0;
  }

  /// Buffers in the pool.
  [[nodiscard]] std::uint32_t count() const noexcept { return pool_->size; }
  /// Buffers now held by packets, drivers and queues; caches of lcores count as free. Walks all caches: a
  /// gauge for the helper thread, not for poll cores.
  [[nodiscard]] std::uint32_t in_use() const noexcept { return rte_mempool_in_use_count(pool_.get()); }

  /// Lent to drivers.
  [[nodiscard]] rte_mempool* get() const noexcept { return pool_.get(); }

 private:
  explicit MbufPool(rte_mempool* pool) : pool_(pool) {}
  UniqueHandle<rte_mempool, &rte_mempool_free> pool_;
};

/// Bytes of EAL memory that a pool takes: what `EalOptions::memory_mib` has to sum.
[[nodiscard]] std::size_t memory_of(const MbufPoolOptions& options);

}  // namespace pgrid::dpdk
