// Shows what functions do with rights through handle 2: they mint, derive, grant, narrow, revoke and watch
// them; what a right or its asker does not allow is refused; what an instance had ends with it, and with its
// worker and data plane.
#include "tests/control/promise/promise_fixture.hpp"

namespace pgrid::control::fake {
namespace {

class RightsOfFunctions : public PromiseFixture {
 protected:
  void SetUp() override {
    start();
    ASSERT_EQ(deploy("alice").status, 201);
    ASSERT_EQ(deploy("bob").status, 201);
  }
};

TEST_F(RightsOfFunctions, a_minted_right_leads_to_its_maker_with_label_and_limits) {
  const abi::RightRef right = mint("alice", map_of({{Field::op, op(Op::mint)},
                                                    {Field::label, UINT64_MAX},
                                                    {Field::can, 5},
                                                    {Field::rate, 1000},
                                                    {Field::body_max, 0}}));
  const abi::RightFields fields = dataplane_->right(right.slot);
  EXPECT_EQ(fields.target_kind, abi::Target::process);
  EXPECT_EQ(fields.generation, right.generation);
  EXPECT_EQ(fields.target, node_->state().process("alice")->index);
  EXPECT_EQ(fields.label, UINT64_MAX);
  EXPECT_EQ(fields.permissions, 5);
  EXPECT_EQ(fields.rate, 1000u);
  EXPECT_EQ(fields.burst, 100u);
  EXPECT_EQ(fields.body_max, 0u);
  const RightRecord* record = node_->state().right(right.slot);
  ASSERT_TRUE(record->maker);
  EXPECT_EQ(record->maker->instance, 1u);
}

TEST_F(RightsOfFunctions, a_derived_right_is_never_wider) {
  const abi::RightRef first = mint("alice", map_of({{Field::op, op(Op::mint)},
                                                    {Field::rate, 1000},
                                                    {Field::burst, 50},
                                                    {Field::in_flight, 10},
                                                    {Field::body_max, 100},
                                                    {Field::deadline_us, 5000},
                                                    {Field::expires_ms, 60'000}}));
  const abi::RightRef same = derive("bob", first);
  const abi::RightFields a = dataplane_->right(first.slot);
  const abi::RightFields b = dataplane_->right(same.slot);
  EXPECT_EQ(b.rate, 1000u);
  EXPECT_EQ(b.burst, 50u);
  EXPECT_EQ(b.in_flight_max, 10u);
  EXPECT_EQ(b.body_max, 100u);
  EXPECT_EQ(b.deadline_max_us, 5000u);
  EXPECT_EQ(b.expires_unix_ns, a.expires_unix_ns);
  EXPECT_EQ(b.target, a.target);
  EXPECT_NE(std::memcmp(a.key, b.key, sizeof a.key), 0);
  const std::pair<Field, std::uint64_t> wider[] = {
      {Field::rate, 1001},    {Field::rate, 0},           {Field::burst, 51},         {Field::in_flight, 11},
      {Field::body_max, 101}, {Field::deadline_us, 5001}, {Field::expires_ms, 61'000}};
  for (const auto& one : wider)
    expect_refused(ask("bob", map_of({{Field::op, op(Op::derive)}, one}), {first}),
                   abi::Reason::not_permitted);
  const abi::RightRef narrow =
      derive("bob", first, map_of({{Field::op, op(Op::derive)}, {Field::can, 1}, {Field::rate, 10}}));
  EXPECT_EQ(dataplane_->right(narrow.slot).permissions, abi::kMaySend);
  EXPECT_EQ(dataplane_->right(narrow.slot).burst, 32u);
  expect_refused(ask("bob", kDerive, {narrow}), abi::Reason::not_permitted);
  expect_refused(ask("bob", map_of({{Field::op, op(Op::derive)}, {Field::can, 3}}), {narrow}),
                 abi::Reason::not_permitted);
}

TEST_F(RightsOfFunctions, only_the_receiver_chooses_labels) {
  const abi::RightRef first = mint("alice", map_of({{Field::op, op(Op::mint)}, {Field::label, 7}}));
  const std::string relabel = map_of({{Field::op, op(Op::derive)}, {Field::label, 8}});
  expect_refused(ask("bob", relabel, {first}), abi::Reason::not_permitted);
  EXPECT_EQ(dataplane_->right(derive("bob", first).slot).label, 7u);
  EXPECT_EQ(dataplane_->right(derive("alice", first, relabel).slot).label, 8u);
}

TEST_F(RightsOfFunctions, revoking_ends_the_tree_and_tells_who_asked) {
  ASSERT_EQ(deploy("carol").status, 201);
  const abi::RightRef first = mint("alice");
  const abi::RightRef second = derive("bob", first);
  const abi::RightRef third = derive("carol", second);
  const abi::RightRef other = mint("alice");
  EXPECT_EQ(ask("bob", notify_of(22), {first}).body, kDone);
  EXPECT_EQ(ask("carol", notify_of(33), {third}).body, kDone);
  EXPECT_EQ(ask("carol", notify_of(34), {third}).body, kDone) << "asking again replaces the number";
  // carol made only the third, and none of it comes from hers.
  expect_refused(ask("carol", kRevoke, {second}), abi::Reason::not_permitted);
  EXPECT_EQ(ask("alice", kRevoke, {first}).body, kDone);
  for (const abi::RightRef right : {first, second, third}) EXPECT_EQ(target_of(right), abi::Target::revoked);
  EXPECT_EQ(target_of(other), abi::Target::process);
  ASSERT_TRUE(hears("bob", 1));
  ASSERT_TRUE(hears("carol", 1));
  EXPECT_EQ(notices("bob")[0].body, std::string("\xa3\x00\x18\x20\x09\x16\x11\x01", 8));
  EXPECT_EQ(notices("carol")[0].body, std::string("\xa3\x00\x18\x20\x09\x18\x22\x11\x01", 9));
  EXPECT_EQ(notices("carol")[0].header.instance, 1u);
  expect_refused(ask("bob", kDerive, {second}), abi::Reason::no_such_right);
  expect_refused(ask("bob", notify_of(1), {second}), abi::Reason::no_such_right);
  expect_refused(ask("alice", kRevoke, {first}), abi::Reason::no_such_right);
  EXPECT_EQ(notices("carol").size(), 1u);
}

TEST_F(RightsOfFunctions, whoever_had_an_ancestor_made_may_revoke_and_so_may_the_receiver) {
  const abi::RightRef first = mint("alice");
  const abi::RightRef second = derive("bob", first);
  ASSERT_EQ(deploy("carol").status, 201);
  const abi::RightRef third = derive("carol", second);
  EXPECT_EQ(ask("bob", kRevoke, {third}).body, kDone);
  EXPECT_EQ(target_of(third), abi::Target::revoked);
  EXPECT_EQ(target_of(second), abi::Target::process);
  EXPECT_EQ(ask("alice", kRevoke, {second}).body, kDone);
}

TEST_F(RightsOfFunctions, narrowing_a_right_narrows_what_was_derived_from_it) {
  const abi::RightRef first = mint("alice");
  const abi::RightRef second = derive("bob", first, map_of({{Field::op, op(Op::derive)}, {Field::rate, 5}}));
  const std::string narrower =
      map_of({{Field::op, op(Op::attenuate)}, {Field::can, 1}, {Field::rate, 10}, {Field::body_max, 9}});
  expect_refused(ask("bob", narrower, {first}), abi::Reason::not_permitted);
  EXPECT_EQ(ask("alice", narrower, {first}).body, kDone);
  EXPECT_EQ(dataplane_->right(first.slot).rate, 10u);
  EXPECT_EQ(dataplane_->right(first.slot).generation, first.generation);
  EXPECT_EQ(dataplane_->right(second.slot).rate, 5u) << "it was lower already";
  EXPECT_EQ(dataplane_->right(second.slot).body_max, 9u);
  EXPECT_EQ(dataplane_->right(second.slot).permissions, abi::kMaySend);
  // Nothing that is asked can widen it.
  EXPECT_EQ(
      ask("alice", map_of({{Field::op, op(Op::attenuate)}, {Field::can, 7}, {Field::rate, 0}}), {first}).body,
      kDone);
  EXPECT_EQ(dataplane_->right(first.slot).rate, 10u);
  EXPECT_EQ(dataplane_->right(first.slot).permissions, abi::kMaySend);
}

TEST_F(RightsOfFunctions, granting_carries_a_child_to_another_process) {
  const abi::RightRef first = mint("alice");
  CborWriter grant;
  grant.map(2).number(0).number(op(Op::grant)).number(10).text("bob");
  const auto bytes = grant.take();
  const std::string body(bytes.begin(), bytes.end());
  EXPECT_EQ(ask("alice", body, {first}).body, kDone);
  ASSERT_TRUE(hears("bob", 1));
  const Said notice = notices("bob")[0];
  ASSERT_EQ(notice.rights.size(), 1u);
  EXPECT_EQ(node_->state().right(notice.rights[0].slot)->parent, first);
  EXPECT_EQ(notice.body, std::string("\xa3\x00\x18\x21\x02\x07\x0a\x65", 8) + "alice");
  EXPECT_EQ(notice.header.instance, 0u);
  const abi::RightRef kept = mint("alice", map_of({{Field::op, op(Op::mint)}, {Field::can, 3}}));
  expect_refused(ask("alice", body, {kept}), abi::Reason::not_permitted);
  std::string nobody = body;
  nobody.back() = 'x';
  expect_refused(ask("alice", nobody, {first}), abi::Reason::declined);
}

TEST_F(RightsOfFunctions, a_right_that_expires_is_gone_and_its_watcher_hears_why) {
  const abi::RightRef first = mint("alice", map_of({{Field::op, op(Op::mint)}, {Field::expires_ms, 300}}));
  EXPECT_EQ(ask("bob", notify_of(1), {first}).body, kDone);
  ASSERT_TRUE(hears("bob", 1));
  EXPECT_EQ(notices("bob")[0].body, std::string("\xa3\x00\x18\x20\x09\x01\x11\x02", 8));
  EXPECT_EQ(node_->state().right(first.slot), nullptr);
}

TEST_F(RightsOfFunctions, what_an_instance_had_ends_with_it) {
  const abi::RightRef first = mint("alice");
  const abi::RightRef second = derive("bob", first);
  EXPECT_EQ(ask("bob", notify_of(5), {first}).body, kDone);
  EXPECT_EQ(ask("alice", notify_of(6), {first}).body, kDone);
  // Another instance of alice speaks.
  const abi::RightRef later = mint("alice", kMint, 2);
  ASSERT_TRUE(hears("bob", 1));
  EXPECT_EQ(notices("bob")[0].body, std::string("\xa3\x00\x18\x20\x09\x05\x11\x05", 8)) << "ended";
  EXPECT_EQ(target_of(first), abi::Target::revoked);
  EXPECT_EQ(target_of(second), abi::Target::revoked) << "bob's came from alice's";
  EXPECT_EQ(target_of(later), abi::Target::process);
  EXPECT_TRUE(notices("alice").empty()) << "the one that asked is gone";
}

TEST_F(RightsOfFunctions, what_instances_had_ends_with_the_data_plane_and_survives_control) {
  const abi::RightRef first = mint("alice");
  EXPECT_EQ(ask("bob", notify_of(5), {first}).body, kDone);
  stop_control();
  start_control();
  ASSERT_TRUE(attached());
  EXPECT_NE(node_->state().right(first.slot), nullptr) << "the same instances live on";
  EXPECT_EQ(node_->state().nb_watches_of(node_->state().process("bob")->index), 1u);
  dataplane_.reset();
  ASSERT_TRUE(loop_.run_until([&] { return node_->segments() == nullptr; }, 5s));
  stop_control();
  start_dataplane();
  start_control();
  ASSERT_TRUE(loop_.run_until(
      [&] { return node_->segments() != nullptr && node_->state().right(first.slot) == nullptr; }, 5s));
  EXPECT_EQ(node_->state().watchers().size(), 0u);
}

TEST_F(RightsOfFunctions, what_died_while_nobody_could_be_told_is_told_later) {
  const abi::RightRef first = mint("alice");
  EXPECT_EQ(ask("bob", notify_of(5), {first}).body, kDone);
  dataplane_->drop_control();
  ASSERT_TRUE(loop_.run_until([&] { return node_->segments() == nullptr; }, 5s));
  const std::string id = std::to_string(first.slot) + "." + std::to_string(first.generation);
  EXPECT_EQ(call("DELETE", "/v1/rights/" + id).status, 200);
  ASSERT_TRUE(attached());
  ASSERT_TRUE(hears("bob", 1));
}

TEST_F(RightsOfFunctions, removing_a_process_tells_watchers_and_ends_what_it_had_made) {
  const abi::RightRef to_alice = mint("alice");
  const abi::RightRef to_bob = mint("bob");
  const abi::RightRef derived = derive("alice", to_bob);
  EXPECT_EQ(ask("bob", notify_of(5), {to_alice}).body, kDone);
  EXPECT_EQ(ask("bob", notify_of(6), {derived}).body, kDone);
  EXPECT_EQ(call("DELETE", "/v1/processes/alice").status, 200);
  ASSERT_TRUE(hears("bob", 2));
  EXPECT_EQ(notices("bob")[0].body, std::string("\xa3\x00\x18\x20\x09\x05\x11\x03", 8)) << "removed";
  EXPECT_EQ(notices("bob")[1].body, std::string("\xa3\x00\x18\x20\x09\x06\x11\x05", 8)) << "ended";
  EXPECT_EQ(target_of(to_bob), abi::Target::process);
}

TEST_F(RightsOfFunctions, what_an_asker_never_got_is_taken_back) {
  const abi::RightRef first = mint("alice");
  abi::ControlEvent event{};
  event.type = static_cast<std::uint8_t>(abi::ControlEventType::undelivered);
  post(event, "", {first});
  ASSERT_TRUE(loop_.run_until([&] { return node_->state().right(first.slot) == nullptr; }, 5s));
  EXPECT_EQ(node_->promises().counts().undelivered, 1u);
  // Nobody takes back what people hold.
  const Reply held = call("POST", "/v1/rights", R"({"process": "alice"})");
  const abi::RightRef peoples{held.body["slot"], held.body["generation"]};
  post(event, "", {peoples});
  ASSERT_TRUE(loop_.run_until([&] { return node_->promises().counts().undelivered == 2; }, 5s));
  EXPECT_EQ(target_of(peoples), abi::Target::process);
}

}  // namespace
}  // namespace pgrid::control::fake
