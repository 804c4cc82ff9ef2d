// Shows: starting DPDK says nothing when it succeeds, one sentence when it fails, leaves nothing behind, and
// does not mind what a killed node left. Each case runs in a child process, since DPDK starts once in a
// process.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "drivers/dpdk/eal.hpp"
#include "drivers/dpdk/eal_memory.hpp"

namespace pgrid::dpdk {
namespace {

using ::testing::Eq;
using ::testing::ExitedWithCode;

const pid_t kTestPid = ::getpid();  // of the parent: children share one name

EalOptions options() {
  return {
      .file_prefix = "pgrid-test-start-" + std::to_string(kTestPid), .huge_pages = false, .memory_mib = 16};
}

/// Starts and stops; the sentence of a failure goes to stderr. Ends the process.
[[noreturn]] void start_and_stop(const EalOptions& wanted) {
  bool left_over = false;
  {
    Result<Eal> eal = Eal::init(wanted);
    if (!eal) {
      std::fprintf(stderr, "%s\n", eal.error().sentence().c_str());
      std::exit(3);
    }
    const std::filesystem::path folder = eal->runtime_dir();
    {
      const Eal moved = std::move(*eal);
    }  // stops here
    left_over = std::filesystem::exists(folder);
  }
  std::exit(left_over ? 4 : 0);
}

void limit_open_files(rlim_t count) {
  const rlimit limit{.rlim_cur = count, .rlim_max = count};
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

TEST(EalStart, SaysNothingAndLeavesNothing) {
  EXPECT_EXIT(start_and_stop(options()), ExitedWithCode(0), Eq(""));
}

TEST(EalStart, WithPciDevicesAllowedProbesNone) {
  EalOptions wanted = options();
  wanted.pci = {"0000:65:00.0"};
  EXPECT_EXIT(start_and_stop(wanted), ExitedWithCode(0), Eq(""));
}

TEST(EalStart, WithoutTelemetryMakesNoSocket) {
  EalOptions wanted = options();
  wanted.telemetry = false;
  EXPECT_EXIT(
      {
        const Result<Eal> eal = Eal::init(wanted);
        std::exit(eal && eal->telemetry_socket().empty() ? 0 : 1);
      },
      ExitedWithCode(0), Eq(""));
}

TEST(EalStart, TooLittleMemoryIsOneSentence) {
  EalOptions wanted = options();
  wanted.memory_mib = 400'000'000;  // 381 TiB
  EXPECT_EXIT(start_and_stop(wanted), ExitedWithCode(3),
              "^start DPDK \\(rte_eal_init\\): Cannot .*; free memory\n$");
}

TEST(EalStart, APanicWithinDpdkIsOneSentence) {
  EalOptions wanted = options();
  wanted.poll_cpus = {0};
  EXPECT_EXIT(
      {
        limit_open_files(14);  // enough to begin with, not for the pipes of an lcore
        start_and_stop(wanted);
      },
      ExitedWithCode(1),
      "start DPDK \\(rte_eal_init\\): Cannot create pipe; raise the limits on open files and threads "
      "\\(ulimit -n, -u\\)\n$");
}

TEST(EalStart, WhatAKilledNodeLeftIsNoObstacle) {
  EXPECT_EXIT(
      {
        const Result<Eal> eal = Eal::init(options());
        ::_exit(eal ? 9 : 1);  // no destructor: sockets and folder stay
      },
      ExitedWithCode(9), Eq(""));
  EXPECT_EXIT(start_and_stop(options()), ExitedWithCode(0), Eq(""));
}

TEST(EalStart, FailuresLeaveNoFolder) {
  // After the failures above: they shared one name.
  EXPECT_FALSE(std::filesystem::exists("/var/run/dpdk/" + options().file_prefix));
}

TEST(HugePages, ReasonNamesWhatIsFreeAndWhatMendsIt) {
  EXPECT_EQ(why_no_huge_pages(0), "");
  const std::string reason = why_no_huge_pages(1u << 30);  // 1 PiB
  EXPECT_NE(reason.find("MiB of huge pages are free and 1073741824 MiB are wanted"), std::string::npos)
      << reason;
  EXPECT_NE(reason.find("; sysctl vm.nr_hugepages="), std::string::npos) << reason;
  EXPECT_TRUE(reason.ends_with(" reserves enough")) << reason;
}

}  // namespace
}  // namespace pgrid::dpdk
