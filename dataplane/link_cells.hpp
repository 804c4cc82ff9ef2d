// All cells of a data plane: one per (poll core, worker) and one per poll core for control.
// Outlives helper and poll cores.
#pragma once

#include <cstdint>
#include <memory>

#include "abi/shared/geometry.hpp"
#include "dataplane/link_cell.hpp"

namespace pgrid::dataplane {

class LinkCells {
 public:
  explicit LinkCells(const abi::Geometry& geometry)
      : workers_(geometry.workers),
        poll_cores_(geometry.poll_cores),
        cells_(std::make_unique<LinkCell[]>(std::size_t{poll_cores_} * (workers_ + 1))) {}

  [[nodiscard]] LinkCell& worker(std::uint32_t poll_core, std::uint32_t worker) const noexcept {
    return cells_[poll_core * (workers_ + 1) + worker];
  }
  [[nodiscard]] LinkCell& control(std::uint32_t poll_core) const noexcept {
    return cells_[poll_core * (workers_ + 1) + workers_];
  }
  [[nodiscard]] std::uint32_t poll_cores() const noexcept { return poll_cores_; }
  [[nodiscard]] std::uint32_t workers() const noexcept { return workers_; }

 private:
  std::uint32_t workers_;
  std::uint32_t poll_cores_;
  std::unique_ptr<LinkCell[]> cells_;
};

}  // namespace pgrid::dataplane
