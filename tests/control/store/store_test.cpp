// Shows that what the store acknowledged is there after any end of the process that wrote it, and that a
// directory has one owner and one reader. Torn and damaged logs, and disks that fail, are in ledger/.
#include "control/store/store.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <random>

#include "control/store/fold.hpp"

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
  bool commit(Store& store, std::vector<Change> changes) {
    std::optional<Result<void>> result;
    store.commit(std::move(changes), [&](Result<void> done) { result = std::move(done); });
    EXPECT_FALSE(result) << "from the loop only";
    EXPECT_TRUE(loop_.run_until([&] { return result.has_value(); }, std::chrono::seconds(10)));
    return result.has_value() && result->has_value();
  }
  bool commit(Store& store, const Change& change) { return commit(store, std::vector{change}); }
  fs::path log() const { return log_directory(directory_); }

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

TEST_F(StoreTest, a_snapshot_stands_for_everything_before_it) {
  State before;
  {
    auto store = open();
    for (std::uint32_t i = 1; i <= 200; ++i) ASSERT_TRUE(commit(*store, right(1 + i % 40, i)));
    ASSERT_TRUE(commit(*store, DropRight{5}));
    ASSERT_TRUE(make_snapshot(log(), store->durable().sequence));
    ASSERT_TRUE(commit(*store, right(100)));
    before = store->state();
  }
  auto store = open();
  EXPECT_EQ(store->state(), before);
  EXPECT_EQ(store->replayed(), 1u);
  store.reset();
  // A damaged one costs time, nothing else.
  for (const auto& entry : fs::directory_iterator(log()))
    if (entry.path().extension() == ".snapshot") {
      Bytes bytes = *read_file(entry.path(), 1u << 20);
      bytes[bytes.size() / 2] ^= 1;
      ASSERT_TRUE(replace_file(entry.path(), bytes));
    }
  store = open();
  EXPECT_EQ(store->state(), before);
  EXPECT_EQ(store->replayed(), 202u);
  EXPECT_EQ(store->remarks().size(), 1u);
}

TEST_F(StoreTest, what_comes_while_a_write_is_under_way_goes_with_the_next) {
  auto store = open();
  std::vector<int> order;
  for (int i = 1; i <= 100; ++i)
    store->commit(right(static_cast<std::uint32_t>(i)), [&, i](const Result<void>& done) {
      EXPECT_TRUE(done);
      order.push_back(i);
    });
  EXPECT_EQ(store->state().rights().size(), 100u) << "what follows builds on it";
  EXPECT_TRUE(order.empty());
  ASSERT_TRUE(loop_.run_until([&] { return order.size() == 100; }, std::chrono::seconds(10)));
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_EQ(store->flushes(), 2u);
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
  ASSERT_TRUE(make_snapshot(log(), 1));
  int files = 0;
  for (const auto& entry : fs::directory_iterator(log())) {
    ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u) << entry.path();
    ++files;
  }
  EXPECT_EQ(files, 3) << "records, a snapshot, the mark";
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

TEST(State, every_change_can_be_taken_back) {
  // Slots and indices are few, so that changes meet what others left.
  std::mt19937 random(11);
  const auto below = [&](std::uint32_t end) { return static_cast<std::uint32_t>(random() % end); };
  const auto a_right = [&] {
    RightRecord right{.slot = 1 + below(6), .generation = 1 + below(9)};
    right.process = below(4);
    right.internal = right.slot == right.process + 1;  // one for each process, as control makes them
    if (below(2) == 0) right.parent = abi::RightRef{1 + below(6), 1 + below(9)};
    if (below(2) == 0) right.maker = Maker{.process = below(4), .generation = 1};
    if (below(3) == 0) right.name = "n" + std::to_string(right.slot);
    // One handle for one right, as control gives them out.
    if (below(2) == 0) right.holding = Holding{below(4), 1, 10 + right.slot, "h"};
    return right;
  };
  const auto a_change = [&]() -> Change {
    switch (below(11)) {
      case 0:
        return ProcessRecord{.index = below(4), .generation = 1 + below(9)};
      case 1:
        return DropProcess{below(4)};
      case 2:
        return DropRight{1 + below(6)};
      case 3:
        return FreeSlot{1 + below(6), 1 + below(9), {}};
      case 4:
        return FreeIndex{below(4), 1 + below(9)};
      case 5:
        return Happened{.what = "violation"};
      case 6:
        return AdvertRecord{.who = {.process = below(4)}, .text = "t"};
      case 7:
        return DropAdvert{below(4)};
      case 8:
        return WatchRecord{.right = {1 + below(6), 1}, .who = {.process = below(4)}};
      case 9:
        return DropWatch{{1 + below(6), 1}, below(4)};
      default:
        return a_right();
    }
  };
  State state;
  for (int round = 0; round < 300; ++round) {
    const State kept = state;
    std::vector<Before> befores;
    std::vector<Change> changes;
    for (std::uint32_t n = below(20); n > 0; --n) {
      changes.push_back(a_change());
      befores.push_back(state.before(changes.back()));
      state.apply(changes.back());
    }
    for (; !befores.empty(); befores.pop_back()) state.take_back(befores.back());
    ASSERT_EQ(state, kept) << round;
    for (const Change& change : changes) state.apply(change);
  }
}

}  // namespace
}  // namespace pgrid::control
