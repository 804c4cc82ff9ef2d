// Writes to one file at a time through io_uring; a write has ended when it is on the disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "drivers/base/result.hpp"

namespace pgrid::uring {

/// One write at a time: the bytes and behind them, linked, fdatasync. Owned by one thread; nothing blocks but
/// the destructor, which waits for a write that is under way.
class DurableWriter {
 public:
  /// `buffer_bytes` are registered with the kernel once: writes of at most so much are taken from there.
  [[nodiscard]] static Result<std::unique_ptr<DurableWriter>> open(std::size_t buffer_bytes);
  ~DurableWriter();
  DurableWriter(const DurableWriter&) = delete;
  DurableWriter& operator=(const DurableWriter&) = delete;

  /// Readable when `ended` has something to say.
  [[nodiscard]] int event_fd() const;

  /// Writes go to `fd` from now on; it stays the caller's and open for as long. REQUIRES: no write is under
  /// way.
  [[nodiscard]] Result<void> use(int fd);

  /// Begins to write `bytes` at byte `offset`. They stay as they are until it has ended. REQUIRES: no write
  /// is under way.
  [[nodiscard]] Result<void> begin(std::uint64_t offset, std::span<const std::uint8_t> bytes);
  [[nodiscard]] bool is_under_way() const;

  /// How the write ended, once; nothing while it is under way. After a failure any part of the bytes may be
  /// on the disk.
  [[nodiscard]] std::optional<Result<void>> ended();
  /// Blocks until nothing is under way; how it ended is forgotten.
  void wait();

 private:
  struct Impl;
  explicit DurableWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgrid::uring
