// One `pgrid up` for one node.
#pragma once

#include <filesystem>

#include "drivers/base/result.hpp"
#include "drivers/base/unique_fd.hpp"

namespace pgrid::tools {

/// The run directory, made where it is missing, and a lock in it that ends with this process. On destruction the lock file
/// goes, and the directory when it was made here and is empty.
class NodeLock {
 public:
  [[nodiscard]] static Result<NodeLock> take(const std::filesystem::path& run_dir);
  NodeLock(NodeLock&&) = default;
  NodeLock& operator=(NodeLock&&) = delete;
  ~NodeLock();

 private:
  NodeLock(std::filesystem::path run_dir, UniqueFd file, bool made)
      : run_dir_(std::move(run_dir)), file_(std::move(file)), made_(made) {}

  std::filesystem::path run_dir_;
  UniqueFd file_;
  bool made_;
};

}  // namespace pgrid::tools
