// Shows that rebuilding costs nothing that stays: after 20,000 traps the process has the memory, mappings and descriptors that
// it had after the first few, and the neighbour was answered all the time.
#include <dirent.h>

#include <fstream>

#include "tests/dataplane/worker/worker_fixture.hpp"

namespace pgrid::worker {
namespace {

// AddressSanitizer keeps what was freed, in new mappings, so that only descriptors say something there.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kKeepsFreed = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool kKeepsFreed = true;
#else
constexpr bool kKeepsFreed = false;
#endif
#else
constexpr bool kKeepsFreed = false;
#endif

struct Uses {
  std::uint64_t resident_pages = 0;
  std::uint64_t mappings = 0;
  std::uint64_t descriptors = 0;
};
Uses uses() {
  Uses found;
  std::uint64_t size = 0;
  std::ifstream("/proc/self/statm") >> size >> found.resident_pages;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) ++found.mappings;
  DIR* folder = ::opendir("/proc/self/fd");
  while (::readdir(folder) != nullptr) ++found.descriptors;
  ::closedir(folder);
  return found;
}

class Rebuilds : public WorkerTest {
 protected:
  void provoke(const std::string& body, int times) {
    for (int i = 0; i < times; ++i) {
      request(5, body, 1);
      request(6, "x", 2);
      run();
      std::uint32_t kept = 0, broken = 0;
      while (const auto found = answer()) {
        kept += found->kind() == abi::Kind::answer;
        broken += found->reason() == abi::Reason::broken;
      }
      ASSERT_EQ(kept, 1u);
      ASSERT_EQ(broken, 1u);
      told_.clear();
    }
  }
  void expect_no_growth(const std::string& body, int times) {
    provoke(body, 500);  // first, what is taken once: arenas, stacks, text
    const Uses before = uses();
    provoke(body, times);
    const Uses after = uses();
    if (!kKeepsFreed) {
      EXPECT_LE(after.resident_pages, before.resident_pages + 64) << "pages of 4 KiB; 20 lost bytes each would be 98 of them";
      EXPECT_LE(after.mappings, before.mappings + 1);
    }
    EXPECT_EQ(after.descriptors, before.descriptors);
    EXPECT_EQ(line().rebuilds.load(), static_cast<std::uint64_t>(500 + times));
  }
};

TEST_F(Rebuilds, TrapsLeaveNothingBehind) {
  load("misbehave", 5);
  load("echo", 6);
  expect_no_growth("trap", 20'000);
}

TEST_F(Rebuilds, ExhaustedStacksLeaveNothingBehind) {
  load("hostile", 5);
  load("echo", 6);
  expect_no_growth("r", 500);
}

}  // namespace
}  // namespace pgrid::worker
