#include "control/ledger/ledger.hpp"

#include "control/clock.hpp"
#include "control/ledger/segments.hpp"

namespace pgrid::control {

Ledger::Ledger(EventLoop& loop, LogDisk& disk, std::filesystem::path directory, const LogEnd& end,
               LogMark mark, LedgerListener& listener)
    : loop_(loop),
      disk_(disk),
      directory_(std::move(directory)),
      mark_(std::move(mark)),
      listener_(listener),
      durable_(end.point),
      last_(end.point),
      offset_(end.offset) {}

Result<std::unique_ptr<Ledger>> Ledger::open(EventLoop& loop, LogDisk& disk, std::filesystem::path directory,
                                             const LogEnd& end, LedgerListener& listener) {
  Result<LogMark> mark = LogMark::open(directory);
  if (!mark) return std::unexpected(mark.error());
  // What recovery read is what was acknowledged, or will have been: nobody is told anything else from now on.
  mark->set(end.point);
  std::unique_ptr<LogFile> file;
  if (!end.segment.empty()) {
    Result<std::unique_ptr<LogFile>> reopened = disk.reopen(end.segment, end.offset);
    if (!reopened) return std::unexpected(reopened.error());
    file = std::move(*reopened);
  }
  std::unique_ptr<Ledger> ledger(
      new Ledger(loop, disk, std::move(directory), end, std::move(*mark), listener));
  ledger->file_ = std::move(file);
  return ledger;
}

std::uint64_t Ledger::append(std::span<const std::uint8_t> payload) {
  const std::size_t at = next_.size();
  add_record(next_, {.sequence = last_.sequence + 1,
                     .durable = durable_.sequence,
                     .time_unix_ns = static_cast<std::uint64_t>(unix_ns()),
                     .before = last_.hash,
                     .payload = payload});
  last_ = {last_.sequence + 1, hash_.of(std::span<const std::uint8_t>(next_).subspan(at))};
  if (!is_busy_) begin();
  return last_.sequence;
}

void Ledger::begin() {
  is_busy_ = true;
  std::swap(next_, flushing_);
  writing_ = last_;
  if (file_ && offset_ != 0 && offset_ + flushing_.size() > kSegmentBytes) file_.reset();
  if (!file_) {
    Result<std::unique_ptr<LogFile>> made = disk_.create(segment_path(directory_, durable_.sequence + 1));
    if (!made) {
      failed_ = loop_.after(std::chrono::microseconds(0), [this, error = made.error()] { give_up(error); });
      return;
    }
    file_ = std::move(*made);
    offset_ = 0;
  }
  file_->write(offset_, flushing_, [this](Result<void> written) { on_written(std::move(written)); });
}

void Ledger::on_written(Result<void> written) {
  if (!written) {
    file_->truncate(offset_);
    file_.reset();
    Error error = written.error();
    error.operation = "write the log (" + directory_.string() + "): " + error.operation;
    if (error.remedy.empty())
      error.remedy = error.code == Errc::out_of_resources ? "free some space on that disk" : "check the disk";
    return give_up(error);
  }
  offset_ += flushing_.size();
  flushing_.clear();
  durable_ = writing_;
  ++flushes_;
  mark_.set(durable_);
  listener_.on_durable(durable_);  // who commits again in there joins those who came meanwhile
  is_busy_ = false;
  if (!next_.empty()) begin();
}

void Ledger::give_up(const Error& error) {
  next_.clear();
  flushing_.clear();
  last_ = durable_;
  is_busy_ = false;
  listener_.on_failed(error);
}

}  // namespace pgrid::control
