#include "drivers/uring/durable_writer.hpp"

#include <liburing.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "drivers/base/unique_fd.hpp"

namespace pgrid::uring {
namespace {

constexpr unsigned kEntries = 4;     // a write and a flush, and as many to spare
constexpr std::uint64_t kWrite = 1;  // user_data
constexpr std::uint64_t kFlush = 2;
constexpr std::size_t kOneWriteMax = std::size_t{1} << 30;  // the kernel writes at most 2^31 - 4096 at once
constexpr std::size_t kPage = 4096;

}  // namespace

struct DurableWriter::Impl {
  ~Impl() {
    wait();  // the kernel reads from memory that is about to be given back
    if (has_ring) io_uring_queue_exit(&ring);
  }

  void wait() {
    io_uring_cqe* cqe = nullptr;
    while (answers_due > 0) {
      const int error = io_uring_wait_cqe(&ring, &cqe);
      if (error == -EINTR) continue;
      if (error < 0) return;
      io_uring_cqe_seen(&ring, cqe);
      --answers_due;
    }
  }

  Result<void> submit() {
    const std::size_t size = std::min(rest.size(), kOneWriteMax);
    io_uring_sqe* write = io_uring_get_sqe(&ring);
    io_uring_sqe* flush = io_uring_get_sqe(&ring);
    if (write == nullptr || flush == nullptr)
      return fail(Errc::internal, "io_uring_get_sqe", "the queue is full");
    if (is_registered && rest.size() <= buffer.size()) {
      std::memcpy(buffer.data(), rest.data(), size);
      io_uring_prep_write_fixed(write, 0, buffer.data(), static_cast<unsigned>(size), offset, 0);
    } else {
      io_uring_prep_write(write, 0, rest.data(), static_cast<unsigned>(size), offset);
    }
    io_uring_sqe_set_flags(write, IOSQE_FIXED_FILE | IOSQE_IO_LINK);
    io_uring_sqe_set_data64(write, kWrite);
    io_uring_prep_fsync(flush, 0, IORING_FSYNC_DATASYNC);
    io_uring_sqe_set_flags(flush, IOSQE_FIXED_FILE);
    io_uring_sqe_set_data64(flush, kFlush);
    const int submitted = io_uring_submit(&ring);
    if (submitted < 0) return fail_errno("io_uring_submit", -submitted);
    answers_due = 2;
    return {};
  }

  io_uring ring{};
  bool has_ring = false;
  bool has_file = false;
  bool is_registered = false;  // the buffer
  UniqueFd event;
  std::vector<std::uint8_t> memory;
  std::span<std::uint8_t> buffer;  // of `memory`, whole pages
  std::span<const std::uint8_t> rest;
  std::uint64_t offset = 0;
  int answers_due = 0;
  std::int32_t written = 0;
  std::int32_t flushed = 0;
};

DurableWriter::DurableWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DurableWriter::~DurableWriter() = default;

Result<std::unique_ptr<DurableWriter>> DurableWriter::open(std::size_t buffer_bytes) {
  auto impl = std::make_unique<Impl>();
  if (const int error = io_uring_queue_init(kEntries, &impl->ring, 0); error < 0)
    return fail_errno("io_uring_queue_init", -error, "see kernel.io_uring_disabled");
  impl->has_ring = true;
  impl->event = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!impl->event) return fail_errno("eventfd", errno);
  if (const int error = io_uring_register_eventfd(&impl->ring, impl->event.get()); error < 0)
    return fail_errno("io_uring_register_eventfd", -error);
  if (const int error = io_uring_register_files_sparse(&impl->ring, 1); error < 0)
    return fail_errno("io_uring_register_files", -error);
  impl->memory.resize(buffer_bytes + kPage);
  const auto address = reinterpret_cast<std::uintptr_t>(impl->memory.data());
  impl->buffer = std::span(impl->memory).subspan((kPage - address % kPage) % kPage, buffer_bytes);
  const iovec vector{impl->buffer.data(), impl->buffer.size()};
  // Refused where RLIMIT_MEMLOCK is small: writes are then taken from where they are.
  impl->is_registered = io_uring_register_buffers(&impl->ring, &vector, 1) == 0;
  return std::unique_ptr<DurableWriter>(new DurableWriter(std::move(impl)));
}

void DurableWriter::wait() { impl_->wait(); }

int DurableWriter::event_fd() const { return impl_->event.get(); }
bool DurableWriter::is_under_way() const { return impl_->answers_due > 0; }

Result<void> DurableWriter::use(int fd) {
  if (const int updated = io_uring_register_files_update(&impl_->ring, 0, &fd, 1); updated < 0)
    return fail_errno("io_uring_register_files_update", -updated);
  return {};
}

Result<void> DurableWriter::begin(std::uint64_t offset, std::span<const std::uint8_t> bytes) {
  impl_->offset = offset;
  impl_->rest = bytes;
  return impl_->submit();
}

std::optional<Result<void>> DurableWriter::ended() {
  std::uint64_t count = 0;
  (void)!::read(impl_->event.get(), &count, sizeof count);
  if (impl_->answers_due == 0) return std::nullopt;
  io_uring_cqe* cqe = nullptr;
  while (impl_->answers_due > 0 && io_uring_peek_cqe(&impl_->ring, &cqe) == 0) {
    (io_uring_cqe_get_data64(cqe) == kWrite ? impl_->written : impl_->flushed) = cqe->res;
    io_uring_cqe_seen(&impl_->ring, cqe);
    --impl_->answers_due;
  }
  if (impl_->answers_due > 0) return std::nullopt;
  if (impl_->written < 0) return fail_errno("write", -impl_->written);
  if (impl_->written == 0 && !impl_->rest.empty()) return fail_errno("write", ENOSPC);
  impl_->offset += static_cast<std::uint64_t>(impl_->written);
  impl_->rest = impl_->rest.subspan(
      std::min<std::size_t>(static_cast<std::size_t>(impl_->written), impl_->rest.size()));
  if (!impl_->rest.empty()) {  // a short write; the kernel broke the link, or what it flushed is not all
    if (Result<void> again = impl_->submit(); !again) return again;
    return std::nullopt;
  }
  if (impl_->flushed < 0) return fail_errno("fdatasync", -impl_->flushed);
  return Result<void>{};
}

}  // namespace pgrid::uring
