// Memory shared between processes: a sealed memfd and its mapping.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "drivers/base/result.hpp"
#include "drivers/base/unique_fd.hpp"

namespace pgrid::shm {

/// One memfd, mapped. Move-only; unmaps and closes. The memory is zero when created, locked in where the limit allows
/// (so that poll cores take no page fault), and can neither grow nor shrink: a peer that holds the descriptor cannot
/// make our access fault (F_SEAL_SHRINK).
class Segment {
 public:
  enum class Access { read_only, read_write };

  Segment() = default;
  Segment(Segment&& other) noexcept;
  Segment& operator=(Segment&& other) noexcept;
  ~Segment();

  /// Creates, sizes, seals against resizing, maps and touches every page. `name` shows in /proc/PID/maps.
  /// `huge_pages` asks for 2 MiB pages and falls back to ordinary ones when none is free.
  [[nodiscard]] static Result<Segment> create(const std::string& name, std::size_t size, bool huge_pages = false);

  /// Maps a descriptor that came from another process. Refuses one that is not sealed against shrinking, or whose size
  /// is not `size`.
  [[nodiscard]] static Result<Segment> map(UniqueFd fd, std::size_t size, Access access);

  /// A second descriptor for the same memory that cannot be mapped writable, for handing to a reader.
  [[nodiscard]] Result<UniqueFd> read_only_fd() const;

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::span<std::byte> bytes() const { return {data_, size_}; }
  [[nodiscard]] explicit operator bool() const { return data_ != nullptr; }

 private:
  UniqueFd fd_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;         // what was asked for
  std::size_t mapped_size_ = 0;  // rounded up to the page size in use
};

/// A memfd that holds a copy of `bytes` and is sealed against every change (F_SEAL_WRITE too): how compiled code
/// reaches a worker.
[[nodiscard]] Result<UniqueFd> sealed_copy(const std::string& name, std::span<const std::byte> bytes);

}  // namespace pgrid::shm
