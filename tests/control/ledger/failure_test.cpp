// Shows what the store does when a disk fails: what was not written is refused and taken back, everything
// later with it; what was acknowledged stays; the next change finds a way as soon as the disk does.
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "control/store/fold.hpp"
#include "control/store/store.hpp"
#include "tests/control/ledger/log_fixture.hpp"

namespace pgrid::control {
namespace {

RightRecord right(std::uint32_t slot) {
  RightRecord one{.slot = slot, .generation = 1};
  one.key.fill(static_cast<std::uint8_t>(slot));
  return one;
}

class Failure : public ::testing::Test {
 protected:
  void open() {
    auto disk = std::make_unique<FaultyDisk>(loop_);
    disk_ = disk.get();
    auto store = Store::open(loop_, directory_.path(), std::move(disk));
    ASSERT_TRUE(store) << store.error().sentence();
    store_ = std::move(*store);
  }
  void reopen() {
    store_.reset();
    open();
  }
  /// Commits each for itself in one turn of the loop; gives what became of them: "+" or "-".
  std::string commit(const std::vector<Change>& changes) {
    std::string said;
    for (const Change& change : changes)
      store_->commit(change, [&](const Result<void>& done) {
        if (!done) error_ = done.error();
        said += done ? '+' : '-';
      });
    EXPECT_TRUE(loop_.run_until([&] { return said.size() == changes.size(); }, std::chrono::seconds(10)));
    return said;
  }
  std::string slots() const {
    std::string text;
    for (const auto& [slot, one] : store_->state().rights()) text += std::to_string(slot);
    return text;
  }

  LogDirectory directory_;
  EventLoop loop_;
  std::unique_ptr<Store> store_;
  FaultyDisk* disk_ = nullptr;
  Error error_;
};

TEST_F(Failure, a_write_that_fails_is_taken_back_with_everything_behind_it) {
  for (const bool truncates : {true, false})
    for (const std::size_t bytes :
         {0ul, 1ul, 100ul, 1'000'000ul}) {  // that reach the file, the whole write included
      std::filesystem::remove_all(directory_.path());
      open();
      ASSERT_EQ(commit({right(1)}), "+");
      // The first goes by itself, the others gather and never get as far as the disk.
      disk_->plan = {FaultyDisk::Fault{bytes, ENOSPC, truncates}};
      EXPECT_EQ(commit({right(2), right(3), DropRight{1}}), "---");
      EXPECT_EQ(error_.code, Errc::out_of_resources);
      EXPECT_NE(error_.sentence().find("No space left on device; free some space"), std::string::npos)
          << error_.sentence();
      EXPECT_EQ(slots(), "1");
      EXPECT_EQ(store_->state().freed(1), nullptr);
      EXPECT_EQ(commit({right(4)}), "+");
      EXPECT_EQ(slots(), "14");
      reopen();
      EXPECT_EQ(slots(), "14") << bytes << truncates;
      EXPECT_EQ(commit({right(5)}), "+");
      reopen();
      EXPECT_EQ(slots(), "145");
      store_.reset();
    }
}

TEST_F(Failure, a_flush_that_fails_twice_and_a_crash_in_between) {
  open();
  ASSERT_EQ(commit({right(1)}), "+");
  disk_->plan = {FaultyDisk::Fault{1'000'000, EIO, false}, FaultyDisk::Fault{1'000'000, EIO, false}};
  EXPECT_EQ(commit({right(2)}), "-");
  EXPECT_EQ(commit({right(3)}), "-");
  EXPECT_EQ(slots(), "1");
  // Nobody was told of either. What the next control finds is one of them at most, and it can go on.
  reopen();
  EXPECT_TRUE(slots() == "1" || slots() == "12" || slots() == "13") << slots();
  EXPECT_EQ(commit({right(4)}), "+");
  const State before = store_->state();
  reopen();
  EXPECT_EQ(store_->state(), before);
}

TEST_F(Failure, those_who_are_told_of_a_failure_may_try_again_at_once) {
  open();
  disk_->plan = {FaultyDisk::Fault{10, EIO, true}};
  std::string said;
  store_->commit(right(1), [&](const Result<void>& first) {
    said += first ? '+' : '-';
    EXPECT_TRUE(store_->state().rights().empty());
    store_->commit(right(1), [&](const Result<void>& again) { said += again ? '+' : '-'; });
  });
  store_->commit(right(2), [&](const Result<void>& second) { said += second ? '+' : '-'; });
  ASSERT_TRUE(loop_.run_until([&] { return said.size() == 3; }, std::chrono::seconds(10)));
  EXPECT_EQ(said, "--+");
  EXPECT_EQ(slots(), "1");
  reopen();
  EXPECT_EQ(slots(), "1");
}

TEST_F(Failure, no_room_for_a_new_file) {
  open();
  disk_->create_error = ENOSPC;
  EXPECT_EQ(commit({right(1), right(2)}), "--");
  EXPECT_EQ(slots(), "");
  disk_->create_error.reset();
  EXPECT_EQ(commit({right(1)}), "+");
  reopen();
  EXPECT_EQ(slots(), "1");
}

TEST_F(Failure, a_change_that_is_none_waits_for_its_turn) {
  open();
  std::string said;
  store_->commit(right(1), [&](const Result<void>&) { said += 'a'; });
  store_->commit(std::vector<Change>(), [&](const Result<void>&) { said += 'b'; });
  ASSERT_TRUE(loop_.run_until([&] { return said.size() == 2; }, std::chrono::seconds(10)));
  store_->commit(std::vector<Change>(), [&](const Result<void>&) { said += 'c'; });
  ASSERT_TRUE(loop_.run_until([&] { return said.size() == 3; }, std::chrono::seconds(10)));
  EXPECT_EQ(said, "abc");
}

TEST_F(Failure, an_unreadable_log_is_said) {
  open();
  ASSERT_EQ(commit({right(1)}), "+");
  store_.reset();
  // A directory where the file should be is as unreadable as a disk makes it.
  const std::filesystem::path file = segment_path(log_directory(directory_.path()), 1);
  std::filesystem::remove(file);
  std::filesystem::create_directory(file);
  const auto store = Store::open(loop_, directory_.path());
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().sentence().find(file.string()), std::string::npos) << store.error().sentence();
}

/// In a process of its own, with a file system of 512 KiB; gives what went wrong, 0: nothing.
int fill_a_small_disk(const std::filesystem::path& mount) {
  // Root of its own namespace if need be.
  if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return 77;
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 77;
  if (::mount("tmpfs", mount.c_str(), "tmpfs", 0, "size=512k") != 0) return 77;
  {
    std::ofstream filler(mount / "filler");
    for (int i = 0; i < 256 * 1024; ++i) filler.put('x');
  }
  EventLoop loop;
  State acknowledged;
  {
    auto store = Store::open(loop, mount / "state");
    if (!store) return 1;
    std::optional<Error> error;
    std::uint32_t slot = 0;
    while (!error && slot < 10'000) {
      bool done = false;
      (*store)->commit(right(++slot), [&](const Result<void>& committed) {
        done = true;
        if (!committed) error = committed.error();
      });
      if (!loop.run_until([&] { return done; }, std::chrono::seconds(10))) return 2;
    }
    if (!error || error->code != Errc::out_of_resources) return 3;
    if (error->sentence().find("No space left on device") == std::string::npos) return 4;
    if ((*store)->state().rights().size() != slot - 1 || slot < 100) return 5;
    std::filesystem::remove(mount / "filler");
    bool again = false;
    (*store)->commit(right(slot), [&](const Result<void>& committed) { again = committed.has_value(); });
    if (!loop.run_until([&] { return again; }, std::chrono::seconds(10))) return 6;
    acknowledged = (*store)->state();
  }
  const auto store = Store::open(loop, mount / "state");
  if (!store) return 7;
  return (*store)->state() == acknowledged ? 0 : 8;
}

TEST_F(Failure, a_full_disk_refuses_and_goes_on_when_there_is_room) {
  const std::filesystem::path mount = directory_.path() / "mount";
  std::filesystem::create_directory(mount);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(fill_a_small_disk(mount));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "nobody may mount here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace pgrid::control
