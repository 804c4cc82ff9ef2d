// A child process that reads one memory file and writes two: no pipes to pump, so it never waits for its
// parent.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "control/store/files.hpp"
#include "drivers/base/result.hpp"
#include "drivers/base/unique_fd.hpp"

namespace pgrid::control {

/// What a child left behind.
struct ChildResult {
  int status = -1;  // exit status, or -1 when a signal ended it
  int signal = 0;
  Bytes output;      // stdout
  std::string text;  // stderr: its first line
};

/// Move-only; a child that still runs is killed and reaped.
class Child {
 public:
  [[nodiscard]] static Result<Child> start(const std::filesystem::path& program,
                                           const std::vector<std::string>& arguments,
                                           std::span<const std::uint8_t> input);
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();

  /// Readable when the child has ended.
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }
  void kill();
  /// Waits for the end and collects what there is, at most `output_max` bytes of it.
  [[nodiscard]] Result<ChildResult> collect(std::uint64_t output_max);

 private:
  Child() = default;
  pid_t pid_ = -1;
  UniqueFd pidfd_;
  UniqueFd output_;
  UniqueFd text_;
};

}  // namespace pgrid::control
