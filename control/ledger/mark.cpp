#include "control/ledger/mark.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>

namespace pgrid::control {
namespace {

constexpr const char* kName = "acknowledged";
constexpr std::uint64_t kMagic = 0x3130'4b52'414d'4750;  // "PGMARK01"

struct Mark {
  std::uint64_t magic;
  std::uint64_t sequence;
  LogHash hash;
  std::uint64_t check;  // XXH3 of what stands before
};
static_assert(sizeof(Mark) == 56);

std::uint64_t check_of(const Mark& mark) { return XXH3_64bits(&mark, offsetof(Mark, check)); }

}  // namespace

LogPoint read_mark(const std::filesystem::path& directory) {
  const UniqueFd fd(::open((directory / kName).c_str(), O_RDONLY | O_CLOEXEC));
  Mark mark{};
  if (!fd || ::pread(fd.get(), &mark, sizeof mark, 0) != sizeof mark || mark.magic != kMagic ||
      mark.check != check_of(mark))
    return {};
  return {mark.sequence, mark.hash};
}

Result<LogMark> LogMark::open(const std::filesystem::path& directory) {
  LogMark mark;
  mark.fd_ = UniqueFd(::open((directory / kName).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!mark.fd_) return fail_errno("open " + (directory / kName).string(), errno);
  return mark;
}

void LogMark::set(const LogPoint& point) {
  Mark mark{.magic = kMagic, .sequence = point.sequence, .hash = point.hash, .check = 0};
  mark.check = check_of(mark);
  (void)!::pwrite(fd_.get(), &mark, sizeof mark, 0);
}

}  // namespace pgrid::control
