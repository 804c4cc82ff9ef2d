// Keeps what is printed to stderr while a C library starts, for its Error. For eal.cpp.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "drivers/base/unique_fd.hpp"

namespace pgrid::dpdk {

/// File descriptor 2 leads into memory while this object lives. Only while the process has one thread that
/// prints.
class StderrCapture {
 public:
  StderrCapture() {
    std::fflush(stderr);
    saved_ = UniqueFd(::dup(STDERR_FILENO));
    memory_ = UniqueFd(::memfd_create("stderr", MFD_CLOEXEC));
    if (saved_ && memory_) (void)::dup2(memory_.get(), STDERR_FILENO);
  }
  StderrCapture(const StderrCapture&) = delete;
  StderrCapture& operator=(const StderrCapture&) = delete;
  ~StderrCapture() {
    std::fflush(stderr);
    if (saved_ && memory_) (void)::dup2(saved_.get(), STDERR_FILENO);
  }

  /// Where stderr led before.
  [[nodiscard]] int saved_fd() const { return saved_.get(); }

  /// The last line printed so far.
  [[nodiscard]] std::string text() const {
    std::fflush(stderr);
    char bytes[1024];
    const off_t size = ::lseek(memory_.get(), 0, SEEK_CUR);
    const off_t from = size > static_cast<off_t>(sizeof bytes) ? size - static_cast<off_t>(sizeof bytes) : 0;
    const ssize_t n = ::pread(memory_.get(), bytes, sizeof bytes, from);
    std::string all(bytes, n > 0 ? static_cast<std::size_t>(n) : 0);
    while (!all.empty() && all.back() == '\n') all.pop_back();
    const auto line = all.rfind('\n');
    return line == all.npos ? all : all.substr(line + 1);
  }

 private:
  UniqueFd saved_;
  UniqueFd memory_;
};

}  // namespace pgrid::dpdk
