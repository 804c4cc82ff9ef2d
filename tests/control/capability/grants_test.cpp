// Shows what a process that holds rights means for the store, the right table and the data plane: granted at
// deploy or later, all or none, taken away with the right, the target or the holder, and said again to a data
// plane that comes back.
#include "control/capability/grants.hpp"

#include "tests/control/fake/node_fixture.hpp"

namespace pgrid::control::fake {
namespace {

TEST(Grant, is_read_with_its_options) {
  const auto plain = parse_grant("words=wordcount");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->name, "words");
  EXPECT_EQ(plain->target, "wordcount");
  EXPECT_FALSE(plain->spec.rate);
  const auto full = parse_grant(
      "w=7,rate=5,label=18446744073709551615,in-flight=3,deadline=2ms,burst=9,body-max=1KiB,expires=1500ms");
  ASSERT_TRUE(full) << full.error().sentence();
  EXPECT_EQ(full->target, "7");
  EXPECT_EQ(full->spec.rate, 5u);
  EXPECT_EQ(full->spec.label, UINT64_MAX);
  EXPECT_EQ(full->spec.in_flight_max, 3u);
  EXPECT_EQ(full->spec.deadline_max_us, 2000u);
  EXPECT_EQ(full->spec.burst, 9u);
  EXPECT_EQ(full->spec.body_max, 1024u);
  EXPECT_EQ(full->spec.expires_in_s, 2u) << "rounded up";
}

TEST(Grant, nonsense_is_refused_with_a_sentence) {
  for (const char* text : {"",
                           "=",
                           "a",
                           "a=",
                           "=b",
                           "A=b",
                           "a=B",
                           "a=b,",
                           "a=b,rate",
                           "a=b,rate=",
                           "a=b,rate=-1",
                           "a=b,rate=1x",
                           "a=b,rate=4294967296",
                           "a=b,rate=1,rate=1",
                           "a=b,colour=red",
                           "a=b,deadline=5",
                           "a=b,deadline=2h",
                           "a=b=c",
                           "a=b,label=18446744073709551616",
                           "a,x=b",
                           "a=b,body-max=1MB",
                           "a=b,,rate=1"}) {
    const auto grant = parse_grant(text);
    ASSERT_FALSE(grant) << text;
    EXPECT_EQ(grant.error().code, Errc::invalid_argument) << text;
    EXPECT_FALSE(grant.error().remedy.empty()) << text;
  }
}

class GrantsTest : public NodeFixture {
 protected:
  /// What the data plane was told: the right that a process holds under a handle, as "SLOT.GENERATION".
  std::string held(std::uint32_t process, std::uint32_t handle) const {
    const auto handles = dataplane_->handles();
    const auto found = handles.find({process, handle});
    return found == handles.end()
               ? ""
               : std::to_string(found->second.slot) + "." + std::to_string(found->second.right_generation);
  }
  /// The data plane reads at its own pace.
  bool is_held(std::uint32_t process, std::uint32_t handle, const std::string& right) {
    return loop_.run_until([&] { return held(process, handle) == right; }, 5s);
  }
  static std::string id(const ParsedJson& right) {
    return right["slot"].dump() + "." + right["generation"].dump();
  }
  std::size_t rights() { return call("GET", "/v1/rights").body["rights"].size(); }
};

TEST_F(GrantsTest, granted_at_deploy) {
  start();
  ASSERT_EQ(deploy("wordcount").status, 201);  // process 0, slot 1
  const Reply twice =
      deploy("twice", "module",
             "&grant=words%3Dwordcount,rate%3D50,label%3D9,deadline%3D5ms&grant=self=twice&grant=by-index=0");
  ASSERT_EQ(twice.status, 201) << twice.body;
  const ParsedJson view = call("GET", "/v1/processes/twice").body;
  ASSERT_EQ(view["grants"].size(), 3u);
  const ParsedJson& words = view["grants"][0];
  EXPECT_EQ(words["process"], "wordcount");
  EXPECT_EQ(words["holder"], "twice");
  EXPECT_EQ(words["name"], "words");
  EXPECT_EQ(words["handle"], 4);
  EXPECT_EQ(words["rate"], 50);
  EXPECT_EQ(words["label"], 9);
  EXPECT_EQ(words["deadline_max_us"], 5000);
  EXPECT_EQ(view["grants"][1]["process"], "twice");
  EXPECT_EQ(view["grants"][1]["handle"], 5);
  EXPECT_EQ(view["grants"][2]["process"], "wordcount");
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_TRUE(is_held(1, 4 + i, id(view["grants"][i]))) << i;
  EXPECT_EQ(held(1, 7), "");
  const abi::RightFields line = dataplane_->right(words["slot"]);
  EXPECT_EQ(line.generation, words["generation"]);
  EXPECT_EQ(line.target, 0u);
  EXPECT_EQ(line.rate, 50u);
  EXPECT_EQ(line.label, 9u);
  EXPECT_EQ(line.deadline_max_us, 5000u);
}

TEST_F(GrantsTest, nobody_sees_the_key_of_a_right_that_a_process_holds) {
  start();
  ASSERT_EQ(deploy("wordcount").status, 201);
  ASSERT_EQ(deploy("twice", "module", "&grant=words=wordcount").status, 201);
  EXPECT_EQ(call("POST", "/v1/rights?secrets=1", R"({"process": "wordcount", "holder": "twice", "as": "b"})")
                .status,
            400);
  std::size_t granted = 0;
  for (const ParsedJson list = call("GET", "/v1/rights?secrets=1").body["rights"]; const auto& right : list) {
    EXPECT_NE(right.contains("uri"), right.contains("holder"));
    granted += right.contains("holder");
  }
  EXPECT_EQ(granted, 1u);
}

TEST_F(GrantsTest, a_refused_grant_leaves_nothing_behind) {
  start();
  ASSERT_EQ(deploy("wordcount").status, 201);
  const auto refused = [&](const std::string& more, int status, const char* says) {
    const Reply reply = deploy("twice", "other module", more);
    EXPECT_EQ(reply.status, status) << more;
    EXPECT_NE(reply.body["error"]["message"].get<std::string>().find(says), std::string::npos) << reply.body;
  };
  refused("&grant=words=nobody", 404, "no process \"nobody\"");
  refused("&grant=words=99", 404, "no process \"99\"");
  refused("&grant=words=wordcount&grant=words=wordcount", 400, "named \"words\"");
  refused("&grant=words=wordcount,in-flight=0", 400, "in_flight_max");
  refused("&grant=words=wordcount&grant=b=wordcount,deadline=2m", 400, "grant \"b\"");
  refused("&grant=words", 400, "names no process");
  std::string sixteen;
  for (int i = 0; i < 16; ++i) sixteen += "&grant=g" + std::to_string(i) + "=wordcount";
  refused(sixteen, 400, "at most 15");
  dataplane_->loads = false;
  refused("&grant=words=wordcount", 422, "fake worker");
  dataplane_->loads = true;
  EXPECT_EQ(rights(), 1u);
  EXPECT_EQ(call("GET", "/v1/processes").body["processes"].size(), 1u);
  EXPECT_TRUE(dataplane_->handles().empty());
  const std::string fifteen = sixteen.substr(0, sixteen.rfind('&'));
  EXPECT_EQ(deploy("twice", "other module", fifteen).status, 201);
  EXPECT_EQ(rights(), 1u + 1 + 15);
}

TEST_F(GrantsTest, a_table_that_is_too_full_for_all_gets_none) {
  config_.limits.rights = 5;
  start();
  ASSERT_EQ(deploy("wordcount").status, 201);  // slot 1 of 1 to 4
  EXPECT_EQ(deploy("twice", "m", "&grant=a=wordcount&grant=b=wordcount&grant=c=wordcount").status, 507);
  EXPECT_EQ(rights(), 1u);
  EXPECT_EQ(deploy("twice", "m", "&grant=a=wordcount&grant=b=wordcount").status, 201);
  EXPECT_EQ(rights(), 4u);
}

TEST_F(GrantsTest, granted_later_under_the_next_free_handle) {
  start();
  ASSERT_EQ(deploy("wordcount").status, 201);
  ASSERT_EQ(deploy("twice", "module", "&grant=a=wordcount&grant=b=wordcount").status, 201);
  const auto create = [&](const std::string& more) {
    return call("POST", "/v1/rights", R"({"process": "wordcount", "holder": "twice")" + more + "}");
  };
  const Reply third = create("");
  ASSERT_EQ(third.status, 201) << third.body;
  EXPECT_EQ(third.body["handle"], 6);
  EXPECT_EQ(third.body["name"], "wordcount") << "without a name it is called like its target";
  EXPECT_EQ(create("").status, 409);
  EXPECT_EQ(create(R"(, "as": "A")").status, 400);
  EXPECT_TRUE(is_held(1, 6, id(third.body)));
  const ParsedJson first = call("GET", "/v1/processes/twice").body["grants"][0];
  EXPECT_EQ(call("DELETE", "/v1/rights/" + id(first)).status, 200);
  EXPECT_TRUE(is_held(1, 4, ""));
  const Reply again = create(R"(, "as": "c", "rate": 3)");
  EXPECT_EQ(again.body["handle"], 4) << "the lowest that is free";
  EXPECT_TRUE(is_held(1, 4, id(again.body)));
  for (int i = 0; i < 12; ++i) EXPECT_EQ(create(R"(, "as": "x)" + std::to_string(i) + "\"").status, 201);
  EXPECT_EQ(create(R"(, "as": "too-many")").status, 507);
  EXPECT_EQ(call("POST", "/v1/rights", R"({"process": "wordcount", "holder": "nobody"})").status, 404);
  EXPECT_EQ(call("POST", "/v1/rights", R"({"process": "wordcount", "as": "twice"})").status, 409) << "a process is called so";
  EXPECT_EQ(call("POST", "/v1/rights", R"({"process": "0", "holder": "0"})").status, 201)
      << "by index, to itself";
  EXPECT_EQ(call("GET", "/v1/rights?holder=twice").body["rights"].size(), 15u);
  EXPECT_EQ(call("GET", "/v1/rights?holder=nobody").status, 404);
}

TEST_F(GrantsTest, removing_the_target_takes_the_handle_away) {
  start();
  ASSERT_EQ(deploy("wordcount").status, 201);
  ASSERT_EQ(deploy("twice", "module", "&grant=words=wordcount&grant=self=twice").status, 201);
  const ParsedJson grants = call("GET", "/v1/processes/twice").body["grants"];
  ASSERT_TRUE(is_held(1, 4, id(grants[0])));
  ASSERT_TRUE(is_held(1, 5, id(grants[1])));
  EXPECT_EQ(call("DELETE", "/v1/processes/wordcount").status, 200);
  EXPECT_TRUE(is_held(1, 4, ""));
  EXPECT_NE(held(1, 5), "");
  EXPECT_EQ(call("GET", "/v1/processes/twice").body["grants"].size(), 1u);
}

TEST_F(GrantsTest, removing_the_holder_drops_what_it_held) {
  start();
  ASSERT_EQ(deploy("wordcount").status, 201);
  ASSERT_EQ(deploy("twice", "module", "&grant=words=wordcount&grant=self=twice").status, 201);
  const std::uint32_t slot = call("GET", "/v1/processes/twice").body["grants"][0]["slot"];
  EXPECT_EQ(call("DELETE", "/v1/processes/twice").status, 200);
  EXPECT_EQ(rights(), 1u);
  EXPECT_EQ(dataplane_->right(slot).target_kind, abi::Target::revoked);
  // The next process under that index holds nothing of its predecessor's.
  ASSERT_EQ(deploy("next").status, 201);
  EXPECT_EQ(call("GET", "/v1/processes/next").body["grants"].size(), 0u);
}

TEST_F(GrantsTest, a_data_plane_that_comes_back_is_told_everything_again) {
  start();
  ASSERT_EQ(deploy("wordcount").status, 201);
  ASSERT_EQ(deploy("twice", "module", "&grant=a=wordcount&grant=b=wordcount").status, 201);
  const ParsedJson grants = call("GET", "/v1/processes/twice").body["grants"];
  dataplane_.reset();
  ASSERT_TRUE(loop_.run_until([&] { return node_->segments() == nullptr; }, 5s));
  EXPECT_EQ(call("DELETE", "/v1/rights/" + id(grants[0])).body["applies"], "at_restart");
  const Reply made = call("POST", "/v1/rights", R"({"process": "wordcount", "holder": "twice", "as": "c"})");
  EXPECT_EQ(made.body["handle"], 4);
  start_dataplane();
  ASSERT_TRUE(attached());
  EXPECT_TRUE(is_held(1, 4, id(made.body)));
  EXPECT_TRUE(is_held(1, 5, id(grants[1])));
  // A new control finds them in its journal.
  stop_control();
  dataplane_.reset();
  start();
  EXPECT_TRUE(is_held(1, 4, id(made.body)));
  EXPECT_TRUE(is_held(1, 5, id(grants[1])));
}

TEST_F(GrantsTest, what_was_revoked_while_the_connection_was_lost_is_taken_away_after_it) {
  start();
  ASSERT_EQ(deploy("wordcount").status, 201);
  ASSERT_EQ(deploy("twice", "module", "&grant=a=wordcount").status, 201);
  const ParsedJson grants = call("GET", "/v1/processes/twice").body["grants"];
  ASSERT_TRUE(is_held(1, 4, id(grants[0])));
  dataplane_->drop_control();
  ASSERT_TRUE(loop_.run_until([&] { return node_->segments() == nullptr; }, 5s));
  EXPECT_EQ(call("DELETE", "/v1/rights/" + id(grants[0])).status, 200);
  ASSERT_TRUE(attached());
  EXPECT_TRUE(is_held(1, 4, ""));
}

}  // namespace
}  // namespace pgrid::control::fake
