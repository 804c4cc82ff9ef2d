// Shows the other requests, the bounds of each process, and that nothing malformed or from a stranger does
// anything.
#include "control/promise/service.hpp"
#include "tests/control/promise/promise_fixture.hpp"

namespace pgrid::control::fake {
namespace {

class Requests : public PromiseFixture {
 protected:
  Requests() { config_.limits.rights = 4096; }
  void SetUp() override {
    start();
    ASSERT_EQ(deploy("alice").status, 201);
    ASSERT_EQ(deploy("bob").status, 201);
  }
  static std::string text_of(CborWriter& writer) {
    const auto bytes = writer.take();
    return {bytes.begin(), bytes.end()};
  }
};

TEST_F(Requests, timer_random_and_drop) {
  const Heard random = ask("alice", map_of({{Field::op, op(Op::random)}, {Field::count, 256}}));
  EXPECT_EQ(random.body.size(), 2u + 3 + 256);
  EXPECT_NE(random.body, ask("alice", map_of({{Field::op, op(Op::random)}, {Field::count, 256}})).body);
  EXPECT_EQ(ask("alice", map_of({{Field::op, op(Op::timer)}, {Field::us, 1000}})).body, kDone);
  const abi::RightRef right = mint("alice");
  EXPECT_EQ(ask("alice", map_of({{Field::op, op(Op::drop)}}), {right, right}).body, kDone);
  EXPECT_EQ(target_of(right), abi::Target::process) << "a handle was given back, not the right";
}

TEST_F(Requests, timers_are_bounded_and_end_with_their_instance) {
  const std::string minute = map_of({{Field::op, op(Op::timer)}, {Field::us, 60'000'000}});
  for (std::size_t i = 0; i < kTimersMax; ++i) (void)send("alice", minute);
  expect_refused(ask("alice", minute), abi::Reason::quota_exceeded);
  EXPECT_EQ(ask("bob", map_of({{Field::op, op(Op::timer)}, {Field::us, 1}})).body, kDone);
  EXPECT_EQ(ask("alice", map_of({{Field::op, op(Op::timer)}, {Field::us, 1}}), {}, 2).body, kDone);
}

TEST_F(Requests, rights_of_a_process_are_bounded) {
  std::uint32_t last = 0;
  for (std::size_t i = 0; i < kMadeMax; ++i) {
    last = send("alice", kMint);
    if (i % 64 == 63) {
      EXPECT_EQ(answer_to(last).kind, abi::Kind::answer);
    }
  }
  expect_refused(ask("alice", kMint), abi::Reason::quota_exceeded);
  EXPECT_EQ(ask("bob", kMint).kind, abi::Kind::answer);
  EXPECT_EQ(ask("alice", kRevoke, answer_to(last).rights).body, kDone);
  EXPECT_EQ(ask("alice", kMint).kind, abi::Kind::answer);
}

TEST_F(Requests, watches_of_a_process_are_bounded) {
  std::vector<abi::RightRef> rights;
  for (std::size_t i = 0; i <= kWatchesMax; ++i) rights.push_back(mint("bob"));
  for (std::size_t i = 0; i < kWatchesMax; ++i)
    EXPECT_EQ(ask("alice", notify_of(i), {rights[i]}).body, kDone);
  expect_refused(ask("alice", notify_of(1), {rights.back()}), abi::Reason::quota_exceeded);
  EXPECT_EQ(ask("alice", notify_of(1), {rights[0]}).body, kDone) << "it watches that one already";
  EXPECT_EQ(ask("bob", kRevoke, {rights[0]}).body, kDone);
  ASSERT_TRUE(hears("alice", 1));
  EXPECT_EQ(ask("alice", notify_of(1), {rights.back()}).body, kDone);
}

TEST_F(Requests, requests_that_wait_are_bounded) {
  // A poll core that does not turn keeps every revoke waiting.
  std::vector<abi::RightRef> rights;
  for (std::uint32_t i = 0; i <= kAskedMax; ++i) rights.push_back(mint("alice"));
  dataplane_->turning = false;
  std::uint32_t last = 0;
  for (const abi::RightRef right : rights) last = send("alice", kRevoke, {right});
  expect_refused(answer_to(last), abi::Reason::quota_exceeded);
  EXPECT_FALSE(is_answered(last - 1));
  dataplane_->turning = true;
  EXPECT_EQ(answer_to(last - 1).body, kDone);
  EXPECT_EQ(ask("alice", kMint).kind, abi::Kind::answer);
}

TEST_F(Requests, a_poll_core_that_does_not_turn) {
  const abi::RightRef right = mint("alice");
  dataplane_->turning = false;
  expect_refused(ask("alice", kRevoke, {right}), abi::Reason::busy);
  EXPECT_EQ(target_of(right), abi::Target::revoked) << "it is revoked all the same";
}

TEST_F(Requests, functions_are_advertised_found_and_wanted) {
  CborWriter closed;
  closed.map(3)
      .number(0)
      .number(op(Op::advertise))
      .number(13)
      .text("paints")
      .number(14)
      .array(2)
      .text("art")
      .text("slow");
  EXPECT_EQ(ask("alice", text_of(closed)).body, kDone);
  CborWriter open;
  open.map(6)
      .number(0)
      .number(op(Op::advertise))
      .number(1)
      .number(77)
      .number(2)
      .number(1)
      .number(13)
      .text("counts");
  open.number(14).array(1).text("art").number(15).boolean(true);
  const Heard base = ask("bob", text_of(open));
  ASSERT_EQ(base.rights.size(), 1u) << base.body;

  const Heard all = ask("alice", map_of({{Field::op, op(Op::discover)}}));
  EXPECT_NE(all.body.find("paints"), std::string::npos);
  EXPECT_NE(all.body.find("counts"), std::string::npos);
  EXPECT_LT(all.body.find("alice"), all.body.find("bob"));
  CborWriter tagged;
  tagged.map(2).number(0).number(op(Op::discover)).number(14).array(2).text("slow").text("art");
  const Heard slow = ask("bob", text_of(tagged));
  EXPECT_NE(slow.body.find("paints"), std::string::npos);
  EXPECT_EQ(slow.body.find("counts"), std::string::npos);
  CborWriter after;
  after.map(2).number(0).number(op(Op::discover)).number(25).text("alice");
  EXPECT_EQ(ask("bob", text_of(after)).body.find("paints"), std::string::npos);

  const auto want = [&](const char* name) {
    CborWriter out;
    out.map(3).number(0).number(op(Op::discover)).number(16).text(name).number(18).boolean(true);
    return text_of(out);
  };
  expect_refused(ask("bob", want("alice")), abi::Reason::not_permitted);
  expect_refused(ask("bob", want("nobody")), abi::Reason::declined);
  const Heard wanted = ask("alice", want("bob"));
  ASSERT_EQ(wanted.rights.size(), 1u) << wanted.body;
  EXPECT_EQ(dataplane_->right(wanted.rights[0].slot).label, 77u);
  EXPECT_EQ(dataplane_->right(wanted.rights[0].slot).permissions, abi::kMaySend);
  EXPECT_EQ(node_->state().right(wanted.rights[0].slot)->parent, base.rights[0]);

  CborWriter no_more;
  no_more.map(2).number(0).number(op(Op::advertise)).number(13).text("");
  EXPECT_EQ(ask("bob", text_of(no_more)).body, kDone);
  EXPECT_EQ(ask("alice", map_of({{Field::op, op(Op::discover)}})).body.find("counts"), std::string::npos);
  EXPECT_TRUE(loop_.run_until([&] { return target_of(wanted.rights[0]) == abi::Target::revoked; }, 5s));
  (void)mint("alice", kMint, 2);
  EXPECT_EQ(ask("alice", map_of({{Field::op, op(Op::discover)}}), {}, 2).body.find("paints"),
            std::string::npos)
      << "said by an instance that is gone";
}

TEST_F(Requests, nothing_malformed_does_anything) {
  const abi::RightRef right = mint("alice");
  const std::size_t rights = node_->state().rights().size();
  const std::string long_text = "\xa2" + std::string("\x00\x0a\x0d\x79\x01\x01", 6) + std::string(257, 'a');
  const std::pair<std::string, std::vector<abi::RightRef>> wrong[] = {
      {"", {}},
      {std::string("\x00", 1), {}},
      {"\xa0", {}},                              // no operation
      {std::string("\xa1\x00\x00", 3), {}},      // operation 0
      {std::string("\xa1\x00\x10", 3), {}},      // promise_offer, later
      {std::string("\xa1\x00\x18\x01", 4), {}},  // not the shortest form
      {std::string("\xa1\x18\x00\x01", 4), {}},
      {std::string("\xb8\x01\x00\x01", 4), {}},
      {std::string("\xbf\x00\x01\xff", 4), {}},  // no fixed length
      {std::string("\xa1\x00\x01\x00", 4), {}},  // something behind it
      {std::string("\xa1\x00", 2), {}},          // cut off
      {std::string("\xa2\x00\x01", 3), {}},
      {std::string("\xa3\x00\x01\x03\x05\x01\x05", 7), {}},  // keys do not rise
      {std::string("\xa3\x00\x01\x01\x05\x01\x05", 7), {}},  // twice
      {std::string("\xa2\x00\x01\x01\x20", 5), {}},          // a negative number
      {std::string("\xa2\x00\x01\x01\xf9\x3c\x00", 7), {}},  // a float
      {std::string("\xa2\x00\x01\x01\xf6", 5), {}},          // null
      {std::string("\xa2\x00\x01\x01\xc1\x01", 6), {}},      // a tag
      {std::string("\xa2\x00\x01\x02\x08", 5), {}},          // can: more than there is
      {std::string("\xa2\x00\x01\x02\x00", 5), {}},
      {std::string("\xa2\x00\x01\x09\x01", 5), {}},              // a key of another operation
      {std::string("\xa2\x00\x01\x18\x1a\x01", 6), {}},          // a key of none
      {std::string("\xa2\x00\x09\x0c\x19\x01\x01", 7), {}},      // random: 257 bytes
      {std::string("\xa1\x00\x09", 3), {}},                      // random: how many?
      {std::string("\xa2\x00\x0a\x0d\x61\xff", 6), {}},          // not UTF-8
      {std::string("\xa2\x00\x0a\x0d\x63\xed\xa0\x80", 8), {}},  // a surrogate
      {std::string("\xa3\x00\x0a\x0d\x61\x61\x0e\x80", 8), {}},  // no tags in tags
      {long_text, {}},
      {kMint, {right}},
      {kDerive, {}},
      {kDerive, {right, right}},
      {map_of({{Field::op, op(Op::drop)}}), {}},
  };
  for (const auto& [body, carried] : wrong)
    expect_refused(ask("alice", body, carried), abi::Reason::declined);
  EXPECT_EQ(node_->state().rights().size(), rights);
  EXPECT_EQ(node_->promises().counts().malformed, std::size(wrong));
  EXPECT_EQ(node_->promises().counts().refused, std::size(wrong));
}

TEST_F(Requests, a_stranger_is_not_heard) {
  const abi::ControlEvent good = header_of("alice", 1);
  abi::ControlEvent wrong[] = {good, good, good, good};
  wrong[0].worker ^= 1;              // speaks for another worker's process
  wrong[1].process_generation ^= 1;  // of an earlier use of the index
  wrong[2].process = 77;
  wrong[3].instance = 0;
  for (const abi::ControlEvent& event : wrong) post(event, kMint, {});
  abi::ControlEvent cut = good;
  cut.nb_rights = 4;  // they are not there: no body, no rights
  dataplane_->post(cut, "abc");
  ASSERT_TRUE(loop_.run_until([&] { return node_->promises().counts().requests == 5; }, 5s));
  EXPECT_EQ(node_->promises().counts().strangers, 4u);
  EXPECT_EQ(node_->promises().counts().malformed, 1u);
  EXPECT_EQ(node_->state().makers().size(), 0u);
}

TEST_F(Requests, a_full_ring_is_waited_for) {
  dataplane_->listens = false;
  std::uint32_t last = 0;
  for (int i = 0; i < 200; ++i)
    last = send("alice", map_of({{Field::op, op(Op::random)}, {Field::count, 256}}));
  ASSERT_TRUE(loop_.run_until([&] { return node_->promises().counts().done == 200; }, 5s));
  dataplane_->listens = true;
  EXPECT_EQ(answer_to(last).kind, abi::Kind::answer);
  EXPECT_EQ(node_->promises().counts().unsaid, 0u);
}

TEST_F(Requests, a_full_table_is_busy) {
  const Reply many = call("POST", "/v1/rights", R"({"process": "bob", "count": 4000})");
  ASSERT_EQ(many.status, 201);
  std::uint32_t made = 0;
  Heard heard;
  for (; made < 200; ++made)
    if (heard = ask("alice", kMint); heard.kind != abi::Kind::answer) break;
  EXPECT_EQ(made, 4096u - 1 - 4000 - 2);
  expect_refused(heard, abi::Reason::busy);
}

}  // namespace
}  // namespace pgrid::control::fake
