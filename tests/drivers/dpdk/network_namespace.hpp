// For tests that make interfaces: runs the test program again in a network namespace of its own, so that
// names cannot collide, runs go side by side, and nothing is left when a test is killed.
#pragma once

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace pgrid::test {

/// Returns only in the new namespace, with the loopback interface up. Exits with 77 ("skipped" to meson)
/// without the privilege to make one: the reason is printed.
inline void enter_network_namespace(char** argv) {
  constexpr const char* kInside = "PGRID_TEST_IN_NAMESPACE";
  if (std::getenv(kInside) == nullptr) {
    if (::geteuid() != 0) {
      std::fprintf(stderr, "skipped: network tests need root\n");
      std::exit(77);
    }
    ::setenv(kInside, "1", 1);
    std::vector<char*> command;
    static char unshare[] = "unshare", mount[] = "--mount", net[] = "--net";
    command.insert(command.end(), {unshare, mount, net});
    for (; *argv != nullptr; ++argv) command.push_back(*argv);
    command.push_back(nullptr);
    ::execvp(unshare, command.data());
    std::perror("unshare");
    std::exit(1);
  }
  (void)::mkdir("/run/netns", 0755);
  if (::mount("none", "/run/netns", "tmpfs", 0, nullptr) != 0) std::perror("mount a tmpfs on /run/netns");
  if (std::system("ip link set lo up") != 0) std::fprintf(stderr, "ip link set lo up failed\n");
}

}  // namespace pgrid::test
