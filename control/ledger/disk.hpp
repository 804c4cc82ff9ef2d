// What the log asks of a disk. Behind an interface, so that tests have one that fails as disks fail.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>

#include "control/event_loop.hpp"
#include "drivers/base/result.hpp"

namespace pgrid::control {

/// A file of the log, open for writing.
class LogFile {
 public:
  using Done = std::function<void(Result<void>)>;
  virtual ~LogFile() = default;
  /// Writes and flushes; calls `done` from the loop, never from in here, when the bytes are on the disk or
  /// cannot be. They stay as they are until then. One at a time. `done` is never called when this is
  /// destroyed before.
  virtual void write(std::uint64_t offset, std::span<const std::uint8_t> bytes, Done done) = 0;
  /// Cuts the file off. Best effort: what fails is found at the next start.
  virtual void truncate(std::uint64_t size) = 0;
};

class LogDisk {
 public:
  virtual ~LogDisk() = default;
  /// A new file (mode 0600) whose name is on the disk too; replaces one that nothing was acknowledged from.
  [[nodiscard]] virtual Result<std::unique_ptr<LogFile>> create(const std::filesystem::path& path) = 0;
  /// One that is there, cut off behind `size` bytes.
  [[nodiscard]] virtual Result<std::unique_ptr<LogFile>> reopen(const std::filesystem::path& path,
                                                                std::uint64_t size) = 0;
};

/// The real one, over io_uring. `loop` outlives it and its files; one file is written at a time.
[[nodiscard]] Result<std::unique_ptr<LogDisk>> make_uring_disk(EventLoop& loop);

}  // namespace pgrid::control
