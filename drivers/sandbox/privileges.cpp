#include "drivers/sandbox/privileges.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "drivers/base/unique_fd.hpp"

namespace pgrid::sandbox {

Result<void> give_up_capabilities() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("set no_new_privs", errno);
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return fail_errno("clear ambient capabilities", errno);
  // Dropping from the bounding set is itself a privilege; who lacks it cannot get what is left there either, because of
  // no_new_privs. The kernel may know more capabilities than <linux/capability.h> did: ask until it has no more.
  for (unsigned long capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EPERM)
      return fail_errno("drop a capability from the bounding set", errno);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capset, &header, none) != 0) return fail_errno("give up capabilities", errno);
  return {};
}

Result<void> forbid_dumps() {
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return fail_errno("forbid dumps of this process", errno);
  const rlimit nothing{0, 0};
  if (::setrlimit(RLIMIT_CORE, &nothing) != 0) return fail_errno("forbid core files", errno);
  return {};
}

Result<void> close_descriptors(std::span<const int> kept) {
  const std::string operation = "close inherited descriptors";
  UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!nothing) return fail_errno(operation + ": open /dev/null", errno);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO})
    if (::dup2(nothing.get(), fd) < 0) return fail_errno(operation, errno);
  std::vector<int> sorted(kept.begin(), kept.end());
  sorted.push_back(STDERR_FILENO);
  std::sort(sorted.begin(), sorted.end());
  if (nothing.get() <= STDERR_FILENO) (void)nothing.release();  // it was free; now it is the standard descriptor
  nothing.reset();
  unsigned next = STDERR_FILENO;
  for (const int fd : sorted) {
    const auto keep = static_cast<unsigned>(fd);
    if (keep > next && ::close_range(next, keep - 1, 0) != 0) return fail_errno(operation, errno);
    next = std::max(next, keep + 1);
  }
  if (::close_range(next, ~0u, 0) != 0) return fail_errno(operation, errno);
  return {};
}

}  // namespace pgrid::sandbox
