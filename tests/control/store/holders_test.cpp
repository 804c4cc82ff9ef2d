// Shows what the store knows of the rights that processes hold: through every change, snapshot and restart,
// and after a journal of the version before, which knew of none.
#include <filesystem>
#include <fstream>

#include "control/store/fold.hpp"
#include "control/store/store.hpp"
#include "tests/control/fake/node_fixture.hpp"

namespace pgrid::control {
namespace {

class HoldersTest : public ::testing::Test {
 protected:
  std::unique_ptr<Store> open() {
    auto store = Store::open(loop_, directory_.path());
    EXPECT_TRUE(store) << store.error().sentence();
    return store ? std::move(*store) : nullptr;
  }
  static RightRecord right_in(std::uint32_t slot) {
    RightRecord r{.slot = slot, .generation = 1};
    r.key.fill(static_cast<std::uint8_t>(slot));
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
  std::filesystem::path journal() const { return directory_.path() / "journal"; }

  fake::TemporaryDirectory directory_;
  EventLoop loop_;
};

// What the store of the version before rights had holders wrote: process 0 "echo" with its own right in slot
// 1, a right in slot 2 with everything set, a freed slot 5 and a freed index 3.
constexpr char kJournalWithoutHolders[] =
    "50474a313b0100000100000000000000f5180a9d9e6694ab82ab63636964686261666b6563686f6d6465706c6f796564"
    "5f756e69781a6553f1006a67656e65726174696f6e0165696e646578006c6d656d6f72795f62797465731a000100006c"
    "6d6f64756c655f62797465730a646e616d65646563686f6472617465056d74696d655f6c696d69745f75731903e86474"
    "7970656770726f6365737366776f726b657201ae68626f64795f6d617819040065627572737418206c63726561746564"
    "5f756e69781a6553f1006f646561646c696e655f6d61785f75731a00018a886f657870697265735f756e69785f6e7300"
    "6a67656e65726174696f6e016d696e5f666c696768745f6d617819040068696e7465726e616cf5636b65795011111111"
    "111111111111111111111111656c6162656c006770726f636573730064726174650564736c6f74016474797065657269"
    "67687450474a31bb0000000200000000000000f615d218fbe9b02681ae68626f64795f6d61781840656275727374006c"
    "637265617465645f756e69781a6553f1016f646561646c696e655f6d61785f75731913886f657870697265735f756e69"
    "785f6e731b1a5e27eef13e00006a67656e65726174696f6e036d696e5f666c696768745f6d61780368696e7465726e61"
    "6cf4636b65795022222222222222222222222222222222656c6162656c1bfffffffffffffff06770726f636573730064"
    "726174650064736c6f7402647479706565726967687450474a316b0000000300000000000000082e624fb7241be282a4"
    "686c6173745f6b657950555555555555555555555555555555556f6e6578745f67656e65726174696f6e0964736c6f74"
    "05647479706569667265655f736c6f74a365696e646578036f6e6578745f67656e65726174696f6e0464747970656a66"
    "7265655f696e646578";

TEST_F(HoldersTest, a_journal_of_the_version_before_is_read_and_goes_on) {
  {
    std::ofstream file(journal(), std::ios::binary);
    const std::string hex = kJournalWithoutHolders;
    for (std::size_t i = 0; i < hex.size(); i += 2)
      file.put(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  State before;
  {
    auto store = open();
    ASSERT_NE(store, nullptr);
    EXPECT_EQ(store->torn_bytes(), 0u);
    const ProcessRecord* echo = store->state().process("echo");
    ASSERT_NE(echo, nullptr);
    EXPECT_EQ(echo->restarts_max, kRestartsDefault);
    EXPECT_EQ(echo->restart_period_ms, kRestartPeriodDefaultMs);
    ASSERT_NE(store->state().internal_right_of(0), nullptr);
    const RightRecord* right = store->state().right(2);
    ASSERT_NE(right, nullptr);
    EXPECT_EQ(right->generation, 3u);
    EXPECT_EQ(right->key, (Key{0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22,
                               0x22, 0x22, 0x22}));
    EXPECT_EQ(right->label, 0xffff'ffff'ffff'fff0u);
    EXPECT_EQ(right->expires_unix_ns, 1'900'000'000'000'000'000u);
    EXPECT_FALSE(right->holding);
    ASSERT_NE(store->state().freed(5), nullptr);
    EXPECT_EQ(store->state().freed(5)->next_generation, 9u);
    RightRecord held = right_in(7);
    held.holding = Holding{0, 1, 4, "words"};
    ASSERT_TRUE(commit(*store, held));
    before = store->state();
  }
  auto store = open();
  EXPECT_EQ(store->state(), before);
  ASSERT_EQ(store->state().held_by(0).size(), 1u);
  EXPECT_EQ(store->state().held_by(0)[0].holding->name, "words");
  EXPECT_TRUE(std::filesystem::exists(journal().string() + ".before-log"));
  EXPECT_FALSE(std::filesystem::exists(journal()));
}

TEST_F(HoldersTest, who_holds_what_follows_every_change) {
  auto store = open();
  const auto held = [&](std::uint32_t slot, std::uint32_t holder, std::uint32_t handle) {
    RightRecord r = right_in(slot);
    r.holding = Holding{holder, 1, handle, "n" + std::to_string(handle)};
    return r;
  };
  const std::vector<Change> changes{held(1, 9, 5), held(2, 9, 4), held(3, 8, 4)};
  ASSERT_TRUE(commit(*store, changes));
  ASSERT_EQ(store->state().held_by(9).size(), 2u);
  EXPECT_EQ(store->state().held_by(9)[0].slot, 2u) << "by handle";
  ASSERT_TRUE(commit(*store, DropRight{2}));
  EXPECT_EQ(store->state().held_by(9).size(), 1u);
  ASSERT_TRUE(commit(*store, held(1, 8, 6)));  // the slot is written again, for another holder
  EXPECT_TRUE(store->state().held_by(9).empty());
  EXPECT_EQ(store->state().held_by(8).size(), 2u);
  const State before = store->state();
  ASSERT_TRUE(make_snapshot(log_directory(directory_.path()), store->durable().sequence));
  store.reset();
  EXPECT_EQ(open()->state(), before);
}

TEST_F(HoldersTest, several_free_slots_before_anything_is_committed) {
  auto store = open();
  ASSERT_TRUE(commit(*store, right_in(1)));
  ASSERT_TRUE(commit(*store, right_in(2)));
  ASSERT_TRUE(commit(*store, DropRight{1}));
  const auto slot = [&](std::uint32_t skip) {
    const auto place = store->state().free_slot(5, skip);  // 1 to 4
    return place ? std::to_string(place->number) + "." + std::to_string(place->generation) : "";
  };
  EXPECT_EQ(slot(0), "3.1");
  EXPECT_EQ(slot(1), "4.1");
  EXPECT_EQ(slot(2), "1.2");
  EXPECT_EQ(slot(3), "");
}

}  // namespace
}  // namespace pgrid::control
