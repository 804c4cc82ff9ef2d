// The log of a node, open for writing: records that are on disk in order, in groups.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "control/ledger/disk.hpp"
#include "control/ledger/mark.hpp"
#include "control/ledger/record.hpp"
#include "control/ledger/recover.hpp"

namespace pgrid::control {

/// Who hears what became of records. Called from the loop.
class LedgerListener {
 public:
  /// Everything up to this record is on the disk.
  virtual void on_durable(const LogPoint& point) = 0;
  /// Everything behind the last durable record is lost: its numbers are given out again.
  virtual void on_failed(const Error& error) = 0;

 protected:
  virtual ~LedgerListener() = default;
};

/// Group commit: while one write is on its way to the disk, records gather for the next. Owned by control's
/// one thread.
///
/// After a write that failed nobody can know what is on the disk, so the file is left as it is (cut off, if
/// it lets itself) and the next record begins a new one, whose name says where the old one ends.
class Ledger {
 public:
  /// Goes on behind `end`, which read_log gave. `disk` and `listener` outlive this.
  [[nodiscard]] static Result<std::unique_ptr<Ledger>> open(EventLoop& loop, LogDisk& disk,
                                                            std::filesystem::path directory,
                                                            const LogEnd& end, LedgerListener& listener);

  /// Adds a record and gives its sequence. REQUIRES: 1 to kPayloadMax bytes.
  std::uint64_t append(std::span<const std::uint8_t> payload);

  [[nodiscard]] const LogPoint& durable() const { return durable_; }
  [[nodiscard]] std::uint64_t sequence() const { return last_.sequence; }
  [[nodiscard]] std::uint64_t flushes() const { return flushes_; }

 private:
  Ledger(EventLoop& loop, LogDisk& disk, std::filesystem::path directory, const LogEnd& end, LogMark mark,
         LedgerListener& listener);
  void begin();
  void on_written(Result<void> written);
  void give_up(const Error& error);

  EventLoop& loop_;
  LogDisk& disk_;
  std::filesystem::path directory_;
  LogMark mark_;
  LedgerListener& listener_;
  hash::Sha256 hash_;
  LogPoint durable_;
  LogPoint last_;     // added
  LogPoint writing_;  // what is durable when the write that is under way has ended
  Bytes next_;        // records that gather
  Bytes flushing_;    // those on their way
  bool is_busy_ = false;
  std::uint64_t offset_;  // in the file
  std::uint64_t flushes_ = 0;
  Pending failed_;
  std::unique_ptr<LogFile>
      file_;  // goes first, with what is under way; null: the next record begins a new one
};

}  // namespace pgrid::control
