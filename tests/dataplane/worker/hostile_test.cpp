// Shows guests that take what they can get: stack, memory, tables, the core, the ring. Each is stopped or refused, its sender
// hears of it once, and its neighbour is answered before and after.
#include "tests/dataplane/worker/worker_fixture.hpp"

#include "abi/guest/promisegrid.h"

namespace pgrid::worker {
namespace {

class Hostile : public WorkerTest {
 protected:
  void SetUp() override {
    load("hostile", 5, 1u << 4, 0, 0);
    load("echo", 6);
  }
  /// What came of one message beside those of a neighbour, all in one burst.
  Reply provoke(const std::string& body) {
    request(6, "before", 1);
    request(5, body, 2);
    request(6, "after", 3);
    run();
    Reply found{};
    std::uint32_t of_neighbour = 0, of_hostile = 0;
    while (const auto one = answer()) {
      if (one->header.process == 6) {
        EXPECT_EQ(one->kind(), abi::Kind::answer);
        ++of_neighbour;
      } else {
        found = *one;
        ++of_hostile;
      }
    }
    EXPECT_EQ(of_neighbour, 2u);
    EXPECT_EQ(of_hostile, 1u);
    EXPECT_EQ(call(5, "x").body, "x") << "goes on with a fresh instance";
    return found;
  }
  void expect_broken(const std::string& body, const std::string& why) {
    const Reply found = provoke(body);
    EXPECT_EQ(found.kind(), abi::Kind::non_commitment);
    EXPECT_EQ(found.reason(), abi::Reason::broken);
    core_.clock().skip_us(10'000);
    core_.turn();
    const auto events = take_told(abi::ReplyType::event);
    ASSERT_FALSE(events.empty());
    EXPECT_TRUE(events.back().body.starts_with(why)) << events.back().body;
  }
};

TEST_F(Hostile, EndlessRecursion) { expect_broken("r", "the call stack is exhausted"); }
TEST_F(Hostile, EndlessFill) { expect_broken("f", "the time limit passed"); }
TEST_F(Hostile, EndlessCopy) { expect_broken("c", "the time limit passed"); }
TEST_F(Hostile, EndlessInit) { expect_broken("i", "the time limit passed"); }
TEST_F(Hostile, EndlessReceive) { expect_broken("m", "the time limit passed"); }

TEST_F(Hostile, MemoryGrowthIsRefusedAtItsLimit) {
  for (int i = 0; i < 3; ++i) {
    const Reply found = provoke("g");
    EXPECT_EQ(found.kind(), abi::Kind::answer);
    EXPECT_EQ(found.body, std::string(4, '\xff'));
  }
  EXPECT_EQ(line().rebuilds.load(), 0u);
}

TEST_F(Hostile, TableGrowthIsRefusedAtItsLimit) {
  for (int i = 0; i < 3; ++i) {
    const Reply found = provoke("b");
    EXPECT_EQ(found.kind(), abi::Kind::answer);
    EXPECT_EQ(found.body, std::string(4, '\xff'));
  }
}

TEST_F(Hostile, LogFloodLeavesRoomForAnswers) { expect_broken("d", "the time limit passed"); }

TEST_F(Hostile, RequestFloodIsBounded) {
  expect_broken("q", "the time limit passed");
  EXPECT_EQ(take_told(abi::ReplyType::send).size(), abi::guest_requests_max(kGeometry) - abi::guest_requests_max(kGeometry) / 4);
  // Nobody answers those: the next instance gets no more, its neighbours are answered all the same.
  expect_broken("q", "the time limit passed");
  EXPECT_TRUE(take_told(abi::ReplyType::send).empty());
}

}  // namespace
}  // namespace pgrid::worker
