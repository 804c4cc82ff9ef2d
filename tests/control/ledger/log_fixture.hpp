// A log in a directory of its own, a disk that fails as disks fail, and a log made by hand.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "control/ledger/disk.hpp"
#include "control/ledger/mark.hpp"
#include "control/ledger/recover.hpp"
#include "control/ledger/segments.hpp"
#include "control/store/files.hpp"

namespace pgrid::control {

class LogDirectory {
 public:
  LogDirectory() {
    std::string name = std::filesystem::temp_directory_path() / "pgrid-log-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~LogDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  LogDirectory(const LogDirectory&) = delete;
  LogDirectory& operator=(const LogDirectory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path segment(std::uint64_t first) const {
    return segment_path(path_, first);
  }
  void write(std::uint64_t first, std::span<const std::uint8_t> bytes) const {
    std::filesystem::remove(
        segment(first));  // a file that is cut off and written again is flushed by some file systems
    std::ofstream(segment(first), std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }

 private:
  std::filesystem::path path_;
};

/// Records behind each other, as the log holds them: `flush` says that what was added so far is on the disk.
class LogBytes {
 public:
  explicit LogBytes(LogPoint from = {}) : last_(from), durable_(from.sequence) {}
  LogBytes& add(const std::string& text) {
    const Bytes payload(text.begin(), text.end());
    begins_.push_back(bytes_.size());
    add_record(bytes_, {.sequence = last_.sequence + 1,
                        .durable = durable_,
                        .time_unix_ns = 1'700'000'000'000'000'000,
                        .before = last_.hash,
                        .payload = payload});
    last_ = {last_.sequence + 1, hash_.of(std::span<const std::uint8_t>(bytes_).subspan(begins_.back()))};
    return *this;
  }
  LogBytes& flush() {
    durable_ = last_.sequence;
    return *this;
  }
  [[nodiscard]] const Bytes& bytes() const { return bytes_; }
  /// Where the record with that index begins; one more than there are: the end.
  [[nodiscard]] std::size_t begin(std::size_t index) const {
    return index < begins_.size() ? begins_[index] : bytes_.size();
  }
  [[nodiscard]] const LogPoint& last() const { return last_; }

 private:
  Bytes bytes_;
  std::vector<std::size_t> begins_;
  LogPoint last_;
  std::uint64_t durable_;
  hash::Sha256 hash_;
};

/// What reading a log gives: its payloads, and how it ended.
struct Reading {
  std::vector<std::string> payloads;
  Result<LogEnd> end;
};
inline Reading read(const LogDirectory& directory, const LogPoint& from = {}) {
  Reading reading;
  reading.end = read_log(directory.path(), from, [&](const LogRecord& record) -> Result<void> {
    reading.payloads.emplace_back(record.payload.begin(), record.payload.end());
    return {};
  });
  return reading;
}

/// Writes in the next turn of the loop, and fails when it is told to: after `bytes` of the write, with
/// `error`.
class FaultyDisk : public LogDisk {
 public:
  explicit FaultyDisk(EventLoop& loop) : loop_(loop) {}
  struct Fault {
    std::size_t bytes = 0;  // that reach the file all the same
    int error = EIO;
    bool truncates = true;  // whether the file lets itself be cut off
  };
  /// For the next writes, in order; nothing: a write succeeds.
  std::vector<std::optional<Fault>> plan;
  std::optional<int> create_error;
  int writes = 0;

  Result<std::unique_ptr<LogFile>> create(const std::filesystem::path& path) override {
    if (create_error) return fail_errno("create " + path.string(), *create_error);
    std::filesystem::remove(path);
    return open(path, O_CREAT | O_EXCL);
  }
  Result<std::unique_ptr<LogFile>> reopen(const std::filesystem::path& path, std::uint64_t size) override {
    std::filesystem::resize_file(path, size);
    return open(path, 0);
  }

 private:
  class File : public LogFile {
   public:
    File(FaultyDisk& disk, UniqueFd fd) : disk_(disk), fd_(std::move(fd)) {}
    void write(std::uint64_t offset, std::span<const std::uint8_t> bytes, Done done) override {
      std::optional<Fault> fault;
      if (!disk_.plan.empty()) {
        fault = disk_.plan.front();
        disk_.plan.erase(disk_.plan.begin());
      }
      ++disk_.writes;
      const std::size_t size = fault ? std::min(fault->bytes, bytes.size()) : bytes.size();
      EXPECT_EQ(::pwrite(fd_.get(), bytes.data(), size, static_cast<off_t>(offset)),
                static_cast<ssize_t>(size));
      truncates_ = !fault || fault->truncates;
      pending_ = disk_.loop_.after(std::chrono::microseconds(0), [fault, done = std::move(done)] {
        done(fault ? Result<void>(fail_errno("write", fault->error)) : Result<void>());
      });
    }
    void truncate(std::uint64_t size) override {
      if (truncates_) {
        EXPECT_EQ(::ftruncate(fd_.get(), static_cast<off_t>(size)), 0);
      }
    }

   private:
    FaultyDisk& disk_;
    UniqueFd fd_;
    Pending pending_;
    bool truncates_ = true;
  };
  Result<std::unique_ptr<LogFile>> open(const std::filesystem::path& path, int flags) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | flags, 0600));
    if (!fd) return fail_errno("open " + path.string(), errno);
    return std::make_unique<File>(*this, std::move(fd));
  }
  EventLoop& loop_;
};

}  // namespace pgrid::control
