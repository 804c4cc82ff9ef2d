// Shows that what the store acknowledged is there after any end of the process that wrote it, and after a
// torn or damaged end of the journal; and that a store that cannot write refuses and stays as it was.
#include "control/store/store.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

namespace pgrid::control {
namespace {

namespace fs = std::filesystem;

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() {
    std::string name = fs::temp_directory_path() / "pgrid-store-XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~StoreTest() override {
    std::error_code error;
    fs::remove_all(directory_, error);
  }

  std::unique_ptr<Store> open() {
    auto store = Store::open(loop_, directory_);
    EXPECT_TRUE(store) << store.error().sentence();
    return store ? std::move(*store) : nullptr;
  }
  Error open_error() {
    auto store = Store::open(loop_, directory_);
    EXPECT_FALSE(store);
    return store ? Error{} : store.error();
  }
  static ProcessRecord process(std::uint32_t index, const std::string& name) {
    return {.index = index,
            .generation = 1,
            .name = name,
            .cid = "bafk",
            .module_bytes = 10,
            .memory_bytes = 65536,
            .time_limit_us = 1000,
            .rate = 5,
            .worker = 1,
            .deployed_unix = 1'700'000'000};
  }
  static RightRecord right(std::uint32_t slot, std::uint32_t generation = 1) {
    RightRecord r{.slot = slot, .generation = generation};
    r.key.fill(static_cast<std::uint8_t>(slot + generation));
    r.label = 0xffff'ffff'ffff'fff0 + slot;
    r.body_max = 1024;
    return r;
  }
  static Result<void> commit(EventLoop& loop, Store& store, std::vector<Change> changes) {
    std::optional<Result<void>> result;
    store.commit(std::move(changes), [&](Result<void> done) { result = std::move(done); });
    EXPECT_FALSE(result) << "from the loop only";
    EXPECT_TRUE(loop.run_until([&] { return result.has_value(); }, std::chrono::seconds(10)));
    return result.value_or(fail(Errc::timed_out, "commit", "never done"));
  }
  bool commit(Store& store, std::vector<Change> changes) {
    return commit(loop_, store, std::move(changes)).has_value();
  }
  bool commit(Store& store, const Change& change) { return commit(store, std::vector{change}); }
  fs::path journal() const { return directory_ / "journal"; }

  fs::path directory_;
  EventLoop loop_;
};

TEST_F(StoreTest, everything_comes_back) {
  State before;
  {
    auto store = open();
    const std::vector<Change> both{process(0, "echo"), right(1)};
    ASSERT_TRUE(commit(*store, both));
    ASSERT_TRUE(commit(*store, right(2)));
    ASSERT_TRUE(commit(*store, DropRight{2}));
    ASSERT_TRUE(commit(*store, process(7, "gone")));
    ASSERT_TRUE(commit(*store, DropProcess{7}));
    before = store->state();
  }
  auto store = open();
  EXPECT_EQ(store->state(), before);
  EXPECT_EQ(store->torn_bytes(), 0u);
  ASSERT_NE(store->state().right(1), nullptr);
  EXPECT_EQ(*store->state().right(1), right(1));
  // A freed slot keeps its generation, and its last key.
  ASSERT_NE(store->state().freed(2), nullptr);
  EXPECT_EQ(store->state().freed(2)->next_generation, 2u);
  EXPECT_EQ(store->state().freed(2)->last_key, right(2).key);
}

TEST_F(StoreTest, compaction_keeps_everything_and_the_sequence_goes_on) {
  State before;
  {
    auto store = open();
    for (std::uint32_t i = 1; i <= 200; ++i) ASSERT_TRUE(commit(*store, right(1 + i % 40, i)));
    ASSERT_TRUE(commit(*store, DropRight{5}));
    const std::uint64_t size = store->journal_bytes();
    ASSERT_TRUE(store->compact());
    EXPECT_LT(store->journal_bytes(), size);
    ASSERT_TRUE(commit(*store, right(100)));
    before = store->state();
  }
  EXPECT_EQ(open()->state(), before);
}

TEST_F(StoreTest, a_journal_that_only_grows_is_compacted_by_itself) {
  auto store = open();
  std::uint64_t largest = 0;
  for (std::uint32_t i = 1; i <= 120; ++i) {  // about 3 MB
    const std::vector<Change> hundred(100, right(1, i));
    ASSERT_TRUE(commit(*store, hundred));
    largest = std::max(largest, store->journal_bytes());
  }
  EXPECT_LT(largest, 2u << 20);
}

TEST_F(StoreTest, one_owner) {
  auto store = open();
  EXPECT_EQ(open_error().code, Errc::busy);
  store.reset();
  EXPECT_NE(open(), nullptr);
}

TEST_F(StoreTest, nobody_else_may_read_it) {
  auto store = open();
  ASSERT_TRUE(commit(*store, right(1)));
  struct stat status{};
  ASSERT_EQ(::stat(directory_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  ASSERT_EQ(::stat(journal().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  ASSERT_TRUE(store->compact());
  ASSERT_EQ(::stat(journal().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

/// A journal of two records, and the offset of the second.
struct TwoRecords {
  Bytes bytes;
  std::size_t second = 0;
  State first_state;
};

class DamageTest : public StoreTest {
 protected:
  TwoRecords two_records() {
    TwoRecords two;
    {
      auto store = open();
      EXPECT_TRUE(commit(*store, right(1)));
      two.second = store->journal_bytes();
      two.first_state = store->state();
      EXPECT_TRUE(commit(*store, right(2)));
    }
    two.bytes = *read_file(journal(), 1u << 20);
    return two;
  }
  void write(std::span<const std::uint8_t> bytes) {
    std::ofstream(journal(), std::ios::binary | std::ios::trunc)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
};

TEST_F(DamageTest, a_last_record_cut_anywhere_is_cut_off_and_the_rest_is_there) {
  const TwoRecords two = two_records();
  for (std::size_t size = two.second; size < two.bytes.size(); ++size) {
    write(std::span(two.bytes).first(size));
    auto store = open();
    ASSERT_NE(store, nullptr) << size;
    EXPECT_EQ(store->state(), two.first_state) << size;
    EXPECT_EQ(store->torn_bytes(), size - two.second);
    // It is cut off for good: what is written now is found again.
    ASSERT_TRUE(commit(*store, right(3)));
    store.reset();
    store = open();
    EXPECT_NE(store->state().right(3), nullptr) << size;
    EXPECT_EQ(store->torn_bytes(), 0u);
  }
}

TEST_F(DamageTest, a_flipped_bit_anywhere_in_the_last_record_is_noticed) {
  const TwoRecords two = two_records();
  for (std::size_t at = two.second; at < two.bytes.size(); ++at) {
    Bytes damaged = two.bytes;
    damaged[at] ^= static_cast<std::uint8_t>(1u << (at % 8));
    write(damaged);
    auto store = open();
    ASSERT_NE(store, nullptr) << at;
    EXPECT_EQ(store->state(), two.first_state) << at;
  }
}

TEST_F(DamageTest, damage_before_whole_records_is_refused_rather_than_forgotten) {
  const TwoRecords two = two_records();
  for (std::size_t at = 0; at < two.second; ++at) {
    Bytes damaged = two.bytes;
    damaged[at] ^= 0x10;
    write(damaged);
    EXPECT_EQ(open_error().code, Errc::corrupt) << at;
  }
  // A record that was taken out of the middle.
  {
    auto store = (write(two.bytes), open());
    ASSERT_TRUE(commit(*store, right(3)));
  }
  Bytes whole = *read_file(journal(), 1u << 20);
  whole.erase(whole.begin() + static_cast<std::ptrdiff_t>(two.second),
              whole.begin() + static_cast<std::ptrdiff_t>(two.bytes.size()));
  write(whole);
  EXPECT_EQ(open_error().code, Errc::corrupt);
}

TEST_F(DamageTest, garbage_behind_the_last_record_is_cut_off) {
  const TwoRecords two = two_records();
  Bytes longer = two.bytes;
  std::mt19937 random(7);
  for (int i = 0; i < 5000; ++i) longer.push_back(static_cast<std::uint8_t>(random()));
  write(longer);
  auto store = open();
  ASSERT_NE(store, nullptr);
  EXPECT_NE(store->state().right(2), nullptr);
  EXPECT_EQ(store->torn_bytes(), 5000u);
}

TEST_F(StoreTest, a_full_disk_refuses_and_changes_nothing) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // In a process of its own, because the limit on file size is the process's. EFBIG stands for ENOSPC.
    ::signal(SIGXFSZ, SIG_IGN);
    EventLoop loop;
    auto store = Store::open(loop, directory_);
    if (!store || !commit(loop, **store, {right(1)})) ::_exit(10);
    const State before = (*store)->state();
    const std::uint64_t size = (*store)->journal_bytes();
    const rlimit limit{size + 30, size + 30};  // within the next record
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(11);
    const Result<void> refused = commit(loop, **store, {right(2)});
    if (refused) ::_exit(12);
    if (refused.error().sentence().find("journal") == std::string::npos) ::_exit(13);
    if ((*store)->state() != before) ::_exit(14);
    if ((*store)->journal_bytes() != size || fs::file_size(journal()) != size) ::_exit(15);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  auto store = open();
  EXPECT_NE(store->state().right(1), nullptr);
  EXPECT_EQ(store->state().right(2), nullptr);
  EXPECT_EQ(store->torn_bytes(), 0u);
}

TEST_F(StoreTest, killed_at_any_moment_nothing_acknowledged_is_lost) {
  // A child commits and says so through a pipe after each commit; it is killed at a random moment. What it
  // said is there; at most the one commit that it was about to acknowledge may be there besides. It compacts
  // now and then.
  std::mt19937 random(std::random_device{}());
  std::uint32_t last = 0;
  for (int round = 0; round < 25; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(ends[0]);
      EventLoop loop;
      auto store = Store::open(loop, directory_);
      if (!store) ::_exit(1);
      for (std::uint32_t n = last + 1;; ++n) {
        if (!commit(loop, **store, {right(1 + n % 50, n)})) ::_exit(2);
        if (::write(ends[1], &n, sizeof n) != sizeof n) ::_exit(3);
        if (n % 37 == 0 && !(*store)->compact()) ::_exit(4);
      }
    }
    ::close(ends[1]);
    std::uint32_t acknowledged = last;
    std::uint32_t n = 0;
    ASSERT_EQ(::read(ends[0], &n, sizeof n), static_cast<ssize_t>(sizeof n));
    acknowledged = n;
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
    while (::read(ends[0], &n, sizeof n) == static_cast<ssize_t>(sizeof n)) acknowledged = n;
    ::close(ends[0]);

    auto store = open();
    ASSERT_NE(store, nullptr);
    std::uint32_t found = 0;
    for (const auto& [slot, one] : store->state().rights()) found = std::max(found, one.generation);
    EXPECT_GE(found, acknowledged);
    EXPECT_LE(found, acknowledged + 1);
    const std::uint32_t oldest = found > 50 ? found - 49 : 1;
    for (std::uint32_t g = oldest; g <= found; ++g) {
      ASSERT_NE(store->state().right(1 + g % 50), nullptr) << g;
      EXPECT_EQ(*store->state().right(1 + g % 50), right(1 + g % 50, g));
    }
    last = found;
  }
}

TEST(State, a_slot_is_used_again_late_and_with_the_next_generation) {
  State state;
  ASSERT_EQ(state.free_slot(4)->number, 1u);
  for (std::uint32_t slot = 1; slot < 4; ++slot) state.apply(RightRecord{.slot = slot, .generation = 1});
  EXPECT_FALSE(state.free_slot(4));
  state.apply(DropRight{2});
  EXPECT_EQ(state.free_slot(5)->number, 4u) << "a slot that was never used comes first";
  ASSERT_TRUE(state.free_slot(4));
  EXPECT_EQ(state.free_slot(4)->number, 2u);
  EXPECT_EQ(state.free_slot(4)->generation, 2u);
  state.apply(RightRecord{.slot = 2, .generation = 0xffff'fffe});
  state.apply(DropRight{2});
  EXPECT_FALSE(state.free_slot(4)) << "its generations are used up";
}

}  // namespace
}  // namespace pgrid::control
