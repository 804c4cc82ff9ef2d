// Shows that a control killed at any moment forgets nothing that it acknowledged: a process creates and
// revokes rights as fast as it can, many at once, makes snapshots and views meanwhile, says through a pipe
// what was acknowledged, and is killed. What the next one finds is what the first so many of its changes come
// to, all acknowledged ones among them.
//
// PGRID_KILLS says how often (1,000; under sanitizers, which make it ten times as slow, 100).
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <random>
#include <thread>

#include "control/store/fold.hpp"
#include "control/store/store.hpp"
#include "tests/control/ledger/log_fixture.hpp"

namespace pgrid::control {
namespace {

using namespace std::chrono_literals;

#if defined(__SANITIZE_ADDRESS__)  // GCC
constexpr int kKills = 100;
#elif defined(__has_feature)  // Clang
constexpr int kKills = __has_feature(address_sanitizer) ? 100 : 1000;
#else
constexpr int kKills = 1000;
#endif
constexpr std::uint32_t kSlots = 64;
constexpr std::uint32_t kUnderWay = 48;  // changes that wait to be acknowledged
constexpr std::uint32_t kAtOnceMax = kUnderWay + 1;

/// The next change to a state, and what it is changes with the numbers alone: whoever knows both knows all
/// that follow.
Change next_change(const State& state, std::mt19937& random) {
  const std::optional<Place> place = state.free_slot(kSlots);
  if (!place || random() % 3 == 0) {
    auto one = state.rights().begin();
    if (one == state.rights().end()) return Happened{.what = "nothing"};
    std::advance(one, static_cast<std::ptrdiff_t>(random() % state.rights().size()));
    return DropRight{one->first};
  }
  RightRecord right{.slot = place->number, .generation = place->generation};
  for (auto& byte : right.key) byte = static_cast<std::uint8_t>(random());
  return right;
}

[[noreturn]] void work(const std::filesystem::path& directory, std::uint32_t seed, int pipe) {
  EventLoop loop;
  auto store = Store::open(loop, directory);
  if (!store) ::_exit(1);
  (*store)->follow([](const std::string&) {});
  std::mt19937 random(seed);
  std::uint32_t under_way = 0;
  std::uint32_t acknowledged = 0;
  for (;;) {
    while (under_way < kUnderWay) {
      ++under_way;
      (*store)->commit(next_change((*store)->state(), random), [&](const Result<void>& done) {
        if (!done) ::_exit(2);
        --under_way;
        ++acknowledged;
        if (::write(pipe, &acknowledged, sizeof acknowledged) != sizeof acknowledged) ::_exit(3);
        if (acknowledged % 500 == 0 && !make_snapshot(log_directory(directory), (*store)->durable().sequence))
          ::_exit(4);
      });
    }
    loop.run_until([&] { return under_way < kUnderWay; }, 10s);
  }
}

void kill_again_and_again(const std::filesystem::path& parent, int kills, std::chrono::microseconds within) {
  std::mt19937 random(std::random_device{}());
  std::string name = parent / "pgrid-kill-XXXXXX";
  const std::filesystem::path directory = ::mkdtemp(name.data());
  State model;
  std::uint64_t acknowledged_all = 0;
  for (int round = 0; round < kills; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const auto seed = static_cast<std::uint32_t>(random());
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(ends[0]);
      work(directory, seed, ends[1]);
    }
    ::close(ends[1]);
    std::this_thread::sleep_for(
        std::chrono::microseconds(random() % static_cast<std::uint64_t>(within.count())));
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it ended by itself: " << WEXITSTATUS(status);
    std::uint32_t acknowledged = 0;
    for (std::uint32_t n = 0; ::read(ends[0], &n, sizeof n) == static_cast<ssize_t>(sizeof n);)
      acknowledged = n;
    ::close(ends[0]);

    EventLoop loop;
    const auto store = Store::open(loop, directory);
    ASSERT_TRUE(store) << store.error().sentence();
    std::mt19937 same(seed);
    for (std::uint32_t n = 0; n < acknowledged; ++n) model.apply(next_change(model, same));
    std::uint32_t more = 0;
    for (; (*store)->state() != model && more < kAtOnceMax; ++more) model.apply(next_change(model, same));
    ASSERT_EQ((*store)->state(), model) << "round " << round << ", " << acknowledged << " acknowledged";
    acknowledged_all += acknowledged;
  }
  EXPECT_GT(acknowledged_all, static_cast<std::uint64_t>(kills))
      << "hardly anything was acknowledged: nothing was shown";
  std::filesystem::remove_all(directory);
}

int kills() {
  const char* given = std::getenv("PGRID_KILLS");
  return given == nullptr ? kKills : std::atoi(given);
}

// A memory file system flushes at once: most of the time then goes where control's own steps can be
// interrupted.
TEST(Kill, nothing_acknowledged_is_lost_in_memory) {
  const std::filesystem::path memory = "/dev/shm";
  kill_again_and_again(std::filesystem::exists(memory) ? memory : std::filesystem::temp_directory_path(),
                       kills() * 9 / 10, 12ms);
}

TEST(Kill, nothing_acknowledged_is_lost_on_disk) {
  kill_again_and_again(std::filesystem::temp_directory_path(), kills() / 10, 50ms);
}

}  // namespace
}  // namespace pgrid::control
