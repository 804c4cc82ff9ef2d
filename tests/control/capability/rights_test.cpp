// Shows that the right table says what the store says: after creating, revoking, a restart of control, a
// restart of the data plane, and a control that died half-way through a write.
#include <sodium.h>

#include "tests/control/fake/node_fixture.hpp"

namespace pgrid::control::fake {
namespace {

using RightsTest = NodeFixture;

TEST_F(RightsTest, a_created_right_is_published_with_what_was_asked) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  const Reply made = call("POST", "/v1/rights?secrets=1",
                          R"({"process": "echo", "label": 18446744073709551615, "rate": 100, "burst": 7,
                              "in_flight_max": 3, "body_max": 64, "deadline_max_us": 5000, "expires_in_s": 60})");
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.body["label"], UINT64_MAX);
  EXPECT_EQ(made.body["state"], "active");
  const abi::RightFields line = dataplane_->right(made.body["slot"]);
  EXPECT_EQ(line.generation, made.body["generation"]);
  EXPECT_EQ(line.label, UINT64_MAX);
  EXPECT_EQ(line.rate, 100u);
  EXPECT_EQ(line.burst, 7u);
  EXPECT_EQ(line.in_flight_max, 3u);
  EXPECT_EQ(line.body_max, 64u);
  EXPECT_EQ(line.deadline_max_us, 5000u);
  EXPECT_EQ(line.target_kind, abi::Target::process);
  EXPECT_EQ(line.permissions, abi::kPermissionsAll);
  EXPECT_GT(line.expires_unix_ns, 0u);
  EXPECT_EQ(invoke(made.body["uri"]).body["kind"], "answer");
}

TEST_F(RightsTest, keys_differ_and_are_shown_only_when_asked_for) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  const Reply first = call("POST", "/v1/rights?secrets=1", R"({"process": "echo"})");
  const Reply second = call("POST", "/v1/rights", R"({"process": "echo"})");
  EXPECT_NE(first.body["slot"], second.body["slot"]);
  EXPECT_FALSE(second.body.contains("uri"));
  for (const ParsedJson list = call("GET", "/v1/rights").body["rights"]; const auto& right : list)
    EXPECT_FALSE(right.contains("uri"));
  for (const ParsedJson list = call("GET", "/v1/processes/echo").body["rights"]; const auto& right : list)
    EXPECT_FALSE(right.contains("uri"));
  EXPECT_NE(sodium_memcmp(dataplane_->right(first.body["slot"]).key,
                          dataplane_->right(second.body["slot"]).key, 16),
            0);
}

TEST_F(RightsTest, revoke_waits_for_every_poll_core) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  const Reply made = call("POST", "/v1/rights?secrets=1", R"({"process": "echo"})");
  dataplane_->turning = false;
  const auto revoked =
      begin("DELETE", "/v1/rights/" + made.body["slot"].dump() + "." + made.body["generation"].dump());
  // The line is changed as soon as the change is on disk; the answer waits.
  EXPECT_TRUE(loop_.run_until(
      [&] { return dataplane_->right(made.body["slot"]).target_kind == abi::Target::revoked; }, 5s));
  EXPECT_FALSE(loop_.run_until([&] { return revoked->status != 0; }, 100ms));
  dataplane_->turning = true;
  ASSERT_TRUE(loop_.run_until([&] { return revoked->status != 0; }, 5s));
  EXPECT_EQ(revoked->body["applies"], "now");
  EXPECT_EQ(invoke(made.body["uri"]).body["reason"], "no_such_right");
}

TEST_F(RightsTest, a_poll_core_that_hangs_is_told) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  const Reply made = call("POST", "/v1/rights", R"({"process": "echo"})");
  dataplane_->turning = false;
  EXPECT_EQ(call("DELETE", "/v1/rights/" + made.body["slot"].dump() + ".1").status, 504);
  EXPECT_EQ(dataplane_->right(made.body["slot"]).target_kind, abi::Target::revoked);
}

TEST_F(RightsTest, a_right_is_revoked_once_and_only_under_its_generation) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  const std::string slot = call("POST", "/v1/rights", R"({"process": "echo"})").body["slot"].dump();
  EXPECT_EQ(call("DELETE", "/v1/rights/" + slot + ".2").status, 404);
  EXPECT_EQ(call("DELETE", "/v1/rights/" + slot + ".1").status, 200);
  EXPECT_EQ(call("DELETE", "/v1/rights/" + slot + ".1").status, 404);
  EXPECT_EQ(call("DELETE", "/v1/rights/" + slot).status, 404);
}

TEST_F(RightsTest, while_the_data_plane_is_away_rights_are_made_and_revoked_for_its_return) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  const Reply old = call("POST", "/v1/rights?secrets=1", R"({"process": "echo"})");
  dataplane_.reset();
  ASSERT_TRUE(loop_.run_until([&] { return node_->segments() == nullptr; }, 5s));
  const Reply made = call("POST", "/v1/rights?secrets=1", R"({"process": "echo"})");
  ASSERT_EQ(made.status, 201);
  const Reply revoked = call("DELETE", "/v1/rights/" + old.body["slot"].dump() + ".1");
  EXPECT_EQ(revoked.body["applies"], "at_restart");
  start_dataplane();
  ASSERT_TRUE(attached());
  EXPECT_EQ(invoke(made.body["uri"]).body["kind"], "answer");
  EXPECT_EQ(invoke(old.body["uri"]).body["reason"], "no_such_right");
  EXPECT_EQ(dataplane_->right(old.body["slot"]).target_kind, abi::Target::revoked);
}

TEST_F(RightsTest, a_new_control_brings_back_the_same_rights_and_repairs_the_table) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  const Reply kept = call("POST", "/v1/rights?secrets=1", R"({"process": "echo"})");
  const Reply torn = call("POST", "/v1/rights?secrets=1", R"({"process": "echo"})");
  const abi::RightFields before = dataplane_->right(kept.body["slot"]);
  stop_control();
  // One slot half written, one overwritten, one that belongs to nobody.
  abi::detail::word(dataplane_->slot(torn.body["slot"]), 0).fetch_or(1);
  abi::detail::word(dataplane_->slot(torn.body["slot"]), 3).store(99);
  abi::RightFields strange{};
  strange.target_kind = abi::Target::process;
  strange.generation = 9;
  abi::write_right(dataplane_->slot(200), strange);
  start_control();
  ASSERT_TRUE(attached());
  EXPECT_EQ(dataplane_->right(kept.body["slot"]).sequence, before.sequence)
      << "what was right is not written again";
  EXPECT_EQ(invoke(kept.body["uri"]).body["kind"], "answer");
  EXPECT_EQ(invoke(torn.body["uri"]).body["kind"], "answer");
  EXPECT_EQ(dataplane_->right(200).target_kind, abi::Target::free);
  EXPECT_EQ(call("GET", "/v1/rights?secrets=1").body["rights"].size(), 3u);
}

TEST_F(RightsTest, an_expired_right_is_shown_as_such_and_keeps_its_slot) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  const Reply made = call("POST", "/v1/rights", R"({"process": "echo", "expires_in_s": 1})");
  ASSERT_EQ(made.status, 201);
  const auto state = [&] {
    for (const ParsedJson list = call("GET", "/v1/rights?process=echo").body["rights"];
         const auto& right : list)
      if (right["slot"] == made.body["slot"]) return right["state"].get<std::string>();
    return std::string("gone");
  };
  EXPECT_EQ(state(), "active");
  EXPECT_TRUE(loop_.run_until([&] { return state() == "expired"; }, 5s));
}

TEST_F(RightsTest, counts_are_summed_over_poll_cores_and_belong_to_one_generation) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  const std::uint32_t slot = call("POST", "/v1/rights", R"({"process": "echo"})").body["slot"];
  for (const std::uint32_t core : {0u, 1u}) {
    dataplane_->account(core, slot).generation = core == 0 ? 1 : 1;
    dataplane_->account(core, slot).kept = 10 + core;
  }
  const auto kept = [&] {
    for (const ParsedJson list = call("GET", "/v1/rights").body["rights"]; const auto& right : list)
      if (right["slot"] == slot) return right["counts"]["kept"].get<int>();
    return -1;
  };
  EXPECT_EQ(kept(), 21);
  dataplane_->account(1, slot).generation = 7;  // that poll core has not met this use of the slot
  EXPECT_EQ(kept(), 10);
}

TEST_F(RightsTest, the_table_is_full) {
  config_.limits.rights = 4;
  start();
  ASSERT_EQ(deploy("echo").status, 201);  // slot 1
  EXPECT_EQ(call("POST", "/v1/rights", R"({"process": "echo"})").status, 201);
  EXPECT_EQ(call("POST", "/v1/rights", R"({"process": "echo"})").status, 201);
  const Reply full = call("POST", "/v1/rights", R"({"process": "echo"})");
  EXPECT_EQ(full.status, 507);
  EXPECT_EQ(full.body["error"]["code"], "out_of_resources");
  EXPECT_EQ(call("DELETE", "/v1/rights/3.1").status, 200);
  const Reply again = call("POST", "/v1/rights", R"({"process": "echo"})");
  EXPECT_EQ(again.body["slot"], 3);
  EXPECT_EQ(again.body["generation"], 2);
}

}  // namespace
}  // namespace pgrid::control::fake
