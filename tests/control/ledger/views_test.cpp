// Shows that the views of the log say what happened and to whom, that a log with every kind of change reads
// as it was written, and that views which are missing, damaged, or of another log are made again while
// control goes on.
#include "control/history/views.hpp"

#include <fstream>

#include "control/store/fold.hpp"
#include "control/store/log_changes.hpp"
#include "control/store/store.hpp"
#include "tests/control/ledger/log_fixture.hpp"

namespace pgrid::control {
namespace {

TEST(LogChanges, every_field_of_every_change_comes_back) {
  ProcessRecord process{.index = 1,
                        .generation = 2,
                        .name = "n",
                        .cid = "c",
                        .module_bytes = 3,
                        .memory_bytes = 1ull << 40,
                        .time_limit_us = 5,
                        .rate = 6,
                        .worker = 7,
                        .deployed_unix = 8,
                        .restarts_max = 9,
                        .restart_period_ms = 10,
                        .strategy = abi::RestartStrategy::never,
                        .backoff_min_ms = 11,
                        .backoff_max_ms = 12,
                        .give_up_after = 13,
                        .group = "g",
                        .rest_for_one = true,
                        .gave_up = "\xff\0why",
                        .verdict = "{}"};
  RightRecord right{.slot = 1, .generation = UINT32_MAX};
  right.key.fill(0xa5);
  right.label = UINT64_MAX;
  right.body_max = UINT16_MAX;
  right.internal = true;
  right.permissions = 3;
  right.parent = abi::RightRef{4, 5};
  right.maker = Maker{6, 7, 8, UINT64_MAX};
  right.token = "t";
  right.name = "r";
  right.holding = Holding{9, 10, 11, "h"};
  const std::vector<Change> changes{process,
                                    right,
                                    RightRecord{.slot = 2},
                                    DropProcess{3},
                                    DropRight{4},
                                    FreeSlot{5, 6, right.key},
                                    FreeIndex{7, 8},
                                    Happened{"violation", 1, 2, "text"},
                                    AdvertRecord{{1, 2, 3, 4}, "a", {"x", "y"}, abi::RightRef{5, 6}, 7},
                                    DropAdvert{8},
                                    WatchRecord{{1, 2}, {3, 4, 5, 6}, UINT64_MAX},
                                    DropWatch{{7, 8}, 9},
                                    IssuedToken{"c", "p", 1, {2, 3}, 4, 5, "did:key:z", true, 6},
                                    RevokedToken{"d", 7},
                                    SpentInvocation{"s", 8, {"l", "m"}},
                                    DropToken{2, "d"}};
  const Bytes bytes = encode_changes(changes);
  const auto back = decode_changes(bytes);
  ASSERT_TRUE(back) << back.error().sentence();
  ASSERT_EQ(back->size(), changes.size());
  EXPECT_EQ(encode_changes(*back), bytes);
  EXPECT_EQ(std::get<ProcessRecord>((*back)[0]), process);
  EXPECT_EQ(std::get<RightRecord>((*back)[1]), right);
  EXPECT_EQ(std::get<RightRecord>((*back)[2]), RightRecord{.slot = 2});
  EXPECT_EQ(std::get<AdvertRecord>((*back)[8]), std::get<AdvertRecord>(changes[8]));
  EXPECT_EQ(std::get<WatchRecord>((*back)[10]), std::get<WatchRecord>(changes[10]));
  EXPECT_EQ(std::get<IssuedToken>((*back)[12]), std::get<IssuedToken>(changes[12]));
  // Cut off anywhere, or with something behind it, it is none.
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_changes(std::span(bytes).first(size))) << size;
  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(decode_changes(longer));
}

TEST(LogChanges, what_an_older_version_left_out_is_as_if_left_out) {
  // A right of which only slot and generation were written: [[1, 7, 3]]
  const auto few = decode_changes(Bytes{0x81, 0x83, 0x01, 0x07, 0x03});
  ASSERT_TRUE(few) << few.error().sentence();
  EXPECT_EQ(std::get<RightRecord>(few->at(0)), (RightRecord{.slot = 7, .generation = 3}));
  // A kind of change, and a field of one, that this version does not know.
  EXPECT_FALSE(decode_changes(Bytes{0x81, 0x82, 0x17, 0x07}));
  EXPECT_FALSE(decode_changes(Bytes{0x81, 0x83, 0x03, 0x07, 0x03}));
}

class ViewsTest : public ::testing::Test {
 protected:
  void open() {
    auto store = Store::open(loop_, directory_.path());
    ASSERT_TRUE(store) << store.error().sentence();
    store_ = std::move(*store);
    store_->follow([this](const std::string& sentence) { said_.push_back(sentence); });
  }
  void commit(std::vector<Change> changes) {
    bool done = false;
    store_->commit(std::move(changes), [&](const Result<void>& committed) { done = committed.has_value(); });
    ASSERT_TRUE(loop_.run_until([&] { return done; }, std::chrono::seconds(10)));
  }
  std::string events(const EventQuery& query) {
    std::optional<Result<std::vector<Event>>> answer;
    store_->events(query, [&](Result<std::vector<Event>> events) { answer = std::move(events); });
    EXPECT_FALSE(answer) << "from the loop only";
    EXPECT_TRUE(loop_.run_until([&] { return answer.has_value(); }, std::chrono::seconds(10)));
    if (!answer || !*answer) return answer ? answer->error().sentence() : "nothing";
    std::string text;
    for (const Event& event : **answer)
      text += (text.empty() ? "" : " ") + std::to_string(event.number) + ":" + event.what + ":" + event.name;
    return text;
  }
  void some_history() {
    commit({ProcessRecord{.index = 0, .generation = 1, .name = "echo"},
            RightRecord{.slot = 1, .generation = 1, .internal = true}});
    commit({ProcessRecord{.index = 1, .generation = 1, .name = "asker"}});
    RightRecord held{.slot = 2, .generation = 1};
    held.holding = Holding{1, 1, 4, "echo"};
    commit({held});
    commit({Happened{"violation", 1, 1, "trap"}});
    commit({DropRight{2}});
    ProcessRecord gave_up{.index = 0, .generation = 1, .name = "echo"};
    gave_up.gave_up = "it trapped";
    commit({gave_up});
    commit({DropRight{1}, DropProcess{0}});
  }
  static constexpr const char* kAll =
      "1:deployed:echo 2:right_created:echo 3:deployed:asker 4:right_granted:echo 5:violation:asker "
      "6:right_revoked:echo "
      "7:gave_up:echo 8:right_revoked:echo 9:removed:echo";

  LogDirectory directory_;
  EventLoop loop_;
  std::unique_ptr<Store> store_;
  std::vector<std::string> said_;
};

TEST_F(ViewsTest, who_what_and_in_which_order) {
  open();
  EXPECT_EQ(events({}), "");
  some_history();
  EXPECT_EQ(events({}), kAll);
  // About a process: also what it held.
  EXPECT_EQ(events({.process = ProcessKey{1, 1}}),
            "3:deployed:asker 4:right_granted:echo 5:violation:asker 6:right_revoked:echo");
  EXPECT_EQ(events({.process = ProcessKey{1, 2}}), "") << "another life of the index";
  EXPECT_EQ(events({.name = "echo"}),
            "1:deployed:echo 2:right_created:echo 4:right_granted:echo 6:right_revoked:echo "
            "7:gave_up:echo 8:right_revoked:echo 9:removed:echo");
  EXPECT_EQ(events({.after = 4, .limit = 2}), "5:violation:asker 6:right_revoked:echo");
  EXPECT_EQ(events({.limit = 2, .newest = true}), "8:right_revoked:echo 9:removed:echo");
  EXPECT_TRUE(said_.empty());
}

TEST_F(ViewsTest, views_that_are_missing_damaged_or_of_another_log_are_made_again) {
  open();
  some_history();
  EXPECT_EQ(events({}), kAll);
  const std::filesystem::path path = views_path(directory_.path());
  for (int way = 0; way < 4; ++way) {
    store_.reset();
    said_.clear();
    if (way == 0) remove_views(path);
    if (way == 1) std::filesystem::resize_file(path, 1000);
    if (way == 2)
      std::ofstream(path, std::ios::trunc)
          << "this is no database, but it is long enough to be looked at as one";
    if (way == 3) {
      // Of a log whose records have other hashes.
      auto views = sqlite::Database::open(path, sqlite::Database::Mode::read_write);
      ASSERT_TRUE(views && views->run("UPDATE point SET hash = zeroblob(32)"));
    }
    if (way == 1 || way == 2)
      for (const char* ending : {"-wal", "-shm"}) std::filesystem::remove(path.string() + ending);
    open();
    EXPECT_EQ(events({}), kAll) << way;
    EXPECT_EQ(said_.size(), way == 0 ? 0u : 1u) << way;
  }
}

TEST_F(ViewsTest, views_that_cannot_be_written_harm_nobody_else) {
  // A directory in their place, which they cannot remove.
  std::filesystem::create_directories(views_path(directory_.path()) / "taken");
  open();
  some_history();
  EXPECT_EQ(store_->state().processes().size(), 1u);
  EXPECT_NE(events({}).find("views.sqlite"), std::string::npos);
  EXPECT_EQ(said_.size(), 1u);
}

}  // namespace
}  // namespace pgrid::control
