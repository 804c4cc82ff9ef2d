#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "control/ledger/disk.hpp"
#include "control/store/files.hpp"
#include "drivers/base/unique_fd.hpp"
#include "drivers/uring/durable_writer.hpp"

namespace pgrid::control {
namespace {

// Registered memory: 1 MiB is six thousand records of 170 bytes, which is more than come while one flush
// lasts. What is longer is written from where it is.
constexpr std::size_t kBufferBytes = 1u << 20;

class UringDisk;

class UringFile : public LogFile {
 public:
  UringFile(UringDisk& disk, UniqueFd fd) : disk_(disk), fd_(std::move(fd)) {}
  ~UringFile() override;
  void write(std::uint64_t offset, std::span<const std::uint8_t> bytes, Done done) override;
  void truncate(std::uint64_t size) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) == 0) (void)::fdatasync(fd_.get());
  }

 private:
  UringDisk& disk_;
  UniqueFd fd_;
};

class UringDisk : public LogDisk {
 public:
  UringDisk(EventLoop& loop, std::unique_ptr<uring::DurableWriter> writer)
      : loop_(loop), writer_(std::move(writer)) {
    readable_ = loop_.when_readable(writer_->event_fd(), [this] { look(); });
  }

  Result<std::unique_ptr<LogFile>> create(const std::filesystem::path& path) override {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno("replace " + path.string(), errno);
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd) return fail_errno("create " + path.string(), errno, "free some space on that disk");
    if (Result<void> synced = sync_directory(path.parent_path()); !synced)
      return std::unexpected(synced.error());
    return use(std::move(fd));
  }

  Result<std::unique_ptr<LogFile>> reopen(const std::filesystem::path& path, std::uint64_t size) override {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd) return fail_errno("open " + path.string(), errno);
    if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0 || ::fdatasync(fd.get()) != 0)
      return fail_errno("cut " + path.string() + " off behind its last whole record", errno);
    return use(std::move(fd));
  }

 private:
  friend class UringFile;

  Result<std::unique_ptr<LogFile>> use(UniqueFd fd) {
    if (Result<void> used = writer_->use(fd.get()); !used) return std::unexpected(used.error());
    return std::make_unique<UringFile>(*this, std::move(fd));
  }

  void look() {
    const std::optional<Result<void>> ended = writer_->ended();
    if (!ended || !done_) return;
    std::exchange(done_, nullptr)(*ended);
  }

  EventLoop& loop_;
  std::unique_ptr<uring::DurableWriter> writer_;
  Pending readable_;
  Pending failed_;
  LogFile::Done done_;
};

UringFile::~UringFile() {
  disk_.done_ = nullptr;
  disk_.writer_->wait();  // the bytes are given back behind this
}

void UringFile::write(std::uint64_t offset, std::span<const std::uint8_t> bytes, Done done) {
  disk_.done_ = std::move(done);
  if (Result<void> begun = disk_.writer_->begin(offset, bytes); !begun)
    disk_.failed_ = disk_.loop_.after(std::chrono::microseconds(0), [this, error = begun.error()] {
      if (disk_.done_) std::exchange(disk_.done_, nullptr)(std::unexpected(error));
    });
}

}  // namespace

Result<std::unique_ptr<LogDisk>> make_uring_disk(EventLoop& loop) {
  Result<std::unique_ptr<uring::DurableWriter>> writer = uring::DurableWriter::open(kBufferBytes);
  if (!writer) return std::unexpected(writer.error());
  return std::make_unique<UringDisk>(loop, std::move(*writer));
}

}  // namespace pgrid::control
