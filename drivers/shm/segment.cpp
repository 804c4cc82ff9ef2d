#include "drivers/shm/segment.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstring>
#include <utility>

namespace pgrid::shm {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kHugePage = 2u << 20;  // 2 MiB, the x86-64 and arm64 default huge page
constexpr unsigned kHuge2MiB = 21u << 26;       // log2(2 MiB) << MFD_HUGE_SHIFT, see memfd_create(2)
constexpr int kResizeSeals = F_SEAL_SHRINK | F_SEAL_GROW;

std::size_t round_up(std::size_t size, std::size_t unit) { return (size + unit - 1) / unit * unit; }

/// A sized, mapped memfd, or nothing when the kernel has no page of that kind left.
std::byte* try_map(int fd, std::size_t size) {
  if (::ftruncate(fd, static_cast<off_t>(size)) != 0) return nullptr;
  void* data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  return data == MAP_FAILED ? nullptr : static_cast<std::byte*>(data);
}

}  // namespace

Segment::Segment(Segment&& other) noexcept
    : fd_(std::move(other.fd_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapped_size_(std::exchange(other.mapped_size_, 0)) {}

Segment& Segment::operator=(Segment&& other) noexcept {
  if (this != &other) {
    Segment moved(std::move(other));
    std::swap(fd_, moved.fd_);
    std::swap(data_, moved.data_);
    std::swap(size_, moved.size_);
    std::swap(mapped_size_, moved.mapped_size_);
  }
  return *this;
}

Segment::~Segment() {
  if (data_ != nullptr) ::munmap(data_, mapped_size_);
}

Result<Segment> Segment::create(const std::string& name, std::size_t size, bool huge_pages) {
  const std::string operation = "create shared segment " + name;
  if (size == 0) return fail(Errc::internal, operation, "size 0");
  Segment segment;
  segment.size_ = size;
  if (huge_pages) {
    UniqueFd fd(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | kHuge2MiB));
    if (fd) {
      segment.mapped_size_ = round_up(size, kHugePage);
      segment.data_ = try_map(fd.get(), segment.mapped_size_);
      if (segment.data_ != nullptr) segment.fd_ = std::move(fd);
    }
  }
  if (segment.data_ == nullptr) {
    segment.fd_ = UniqueFd(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!segment.fd_) return fail_errno(operation + ": memfd_create", errno);
    segment.mapped_size_ = round_up(size, kPage);
    segment.data_ = try_map(segment.fd_.get(), segment.mapped_size_);
    if (segment.data_ == nullptr)
      return fail_errno(operation + ": map " + std::to_string(segment.mapped_size_) + " bytes", errno,
                        "free memory or lower [limits] in node.toml");
  }
  if (::fcntl(segment.fd_.get(), F_ADD_SEALS, kResizeSeals | F_SEAL_SEAL) != 0)
    return fail_errno(operation + ": F_ADD_SEALS", errno);
  (void)::mlock(segment.data_, segment.mapped_size_);  // best effort: RLIMIT_MEMLOCK may be small
  return segment;
}

Result<Segment> Segment::map(UniqueFd fd, std::size_t size, Access access) {
  const std::string operation = "map shared segment";
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(operation + ": fstat", errno);
  const int seals = ::fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0)
    return fail(Errc::protocol, operation, "the descriptor is not a memory file sealed against shrinking");
  if (static_cast<std::size_t>(status.st_size) < size || size == 0)
    return fail(Errc::protocol, operation,
                std::to_string(status.st_size) + " bytes, expected " + std::to_string(size));
  Segment segment;
  segment.size_ = size;
  segment.mapped_size_ = static_cast<std::size_t>(status.st_size);
  const int protection = access == Access::read_only ? PROT_READ : PROT_READ | PROT_WRITE;
  void* data = ::mmap(nullptr, segment.mapped_size_, protection, MAP_SHARED | MAP_POPULATE, fd.get(), 0);
  if (data == MAP_FAILED) return fail_errno(operation + ": mmap", errno);
  segment.data_ = static_cast<std::byte*>(data);
  segment.fd_ = std::move(fd);
  return segment;
}

Result<UniqueFd> Segment::read_only_fd() const {
  const std::string path = "/proc/self/fd/" + std::to_string(fd_.get());
  UniqueFd reader(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!reader) return fail_errno("open a read-only descriptor of a shared segment", errno);
  return reader;
}

Result<UniqueFd> sealed_copy(const std::string& name, std::span<const std::byte> bytes) {
  const std::string operation = "copy " + name + " into a sealed memory file";
  UniqueFd fd(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return fail_errno(operation, errno);
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t n = ::write(fd.get(), bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail_errno(operation, n < 0 ? errno : ENOSPC);
    done += static_cast<std::size_t>(n);
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, kResizeSeals | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
    return fail_errno(operation + ": F_ADD_SEALS", errno);
  return fd;
}

}  // namespace pgrid::shm
