// Two processes on two workers, one of which holds a right to the other: what tests of functions that ask others start
// from. The test plays both workers.
#pragma once

#include <gtest/gtest.h>

#include "tests/dataplane/harness.hpp"

namespace pgrid::test {

inline constexpr std::uint32_t kAsker = 41;  // process on worker 0, where Harness::kRight leads
inline constexpr std::uint32_t kAsked = 42;  // process on worker 1
inline constexpr std::uint32_t kHandle = 4;  // under which the one holds the right to the other
inline constexpr wire::RightRef kHeldRight{5, 3, Harness::kKey};

/// Rings large enough for seven waiting requests of functions: a quarter of 64 KiB holds two records for each.
constexpr abi::Geometry relay_geometry(std::uint32_t poll_cores = 1) {
  abi::Geometry geometry = Harness::small_geometry(poll_cores);
  geometry.request_ring = 65536;
  return geometry;
}
inline constexpr std::uint32_t kWaitingMax = 7;
static_assert(abi::guest_requests_max(relay_geometry()) == kWaitingMax);

/// What a worker writes when its process asks through the handle; tests change fields.
inline abi::WorkerReply question(std::uint8_t id = 1) {
  abi::WorkerReply send{};
  send.type = static_cast<std::uint8_t>(abi::ReplyType::send);
  send.kind = static_cast<std::uint8_t>(abi::Kind::request);
  send.process = kAsker;
  send.process_generation = 1;
  send.to_slot = kHandle;
  send.instance = 77;
  send.hops = 1;
  send.id[0] = id;
  return send;
}

inline void hold_right(Harness& node) {
  node.write_right(kHeldRight, [](abi::RightFields& fields) {
    fields.target = kAsked;
    fields.worker = 1;
    fields.label = 0xabcd;
  });
  node.handles.begin(kAsker, 1, 0);
  node.handles.begin(kAsked, 1, 1);
  node.handles.set(kAsker, kHandle, kHeldRight.slot, kHeldRight.generation);
}

class RelayTest : public testing::Test {
 protected:
  RelayTest() {
    hold_right(node);
    node.turn();
  }
  ~RelayTest() override {
    EXPECT_EQ(node.books(), "");
    node.cores[0]->finish();
    EXPECT_EQ(node.books(), "");
    EXPECT_EQ(node.cores[0]->in_flight().in_use(), 0u);
  }
  /// The asked worker's next request, after a turn.
  FakeWorker::Request asked_now() {
    node.turn();
    auto request = asked->next();
    EXPECT_TRUE(request);
    return request.value_or(FakeWorker::Request{});
  }
  /// What came back to the asking worker, after a turn.
  FakeWorker::Request answered_now() {
    node.turn();
    auto answer = asker->next();
    EXPECT_TRUE(answer);
    return answer.value_or(FakeWorker::Request{});
  }
  static std::string_view reason_of(const FakeWorker::Request& answer) {
    return abi::name_of(static_cast<abi::Reason>(answer.header.reason));
  }
  [[nodiscard]] bool faulty(std::uint32_t worker = 0) const { return node.cells.worker(0, worker).faulty.load(); }

  Harness node{relay_geometry()};
  FakeWorker* asker = &node.attach_worker(0);
  FakeWorker* asked = &node.attach_worker(1);
};

}  // namespace pgrid::test
