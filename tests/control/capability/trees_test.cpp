// Shows what people do with rights that come from others: derived and narrowed ones, trees that end together,
// names, many at once; and the arithmetic of "narrower" by itself.
#include "control/capability/narrow.hpp"
#include "tests/control/fake/node_fixture.hpp"

namespace pgrid::control::fake {
namespace {

class Trees : public NodeFixture {
 protected:
  void SetUp() override {
    start();
    ASSERT_EQ(deploy("echo").status, 201);
  }
  static std::string id(const ParsedJson& right) {
    return std::to_string(right["slot"].get<std::uint32_t>()) + "." +
           std::to_string(right["generation"].get<std::uint32_t>());
  }
  ParsedJson create(const std::string& more) {
    const Reply made = call("POST", "/v1/rights?secrets=1", R"({"process": "echo")" + more + "}");
    EXPECT_EQ(made.status, 201) << made.body;
    return made.body;
  }
  Reply derive(const std::string& from, const std::string& body = "{}") {
    return call("POST", "/v1/rights/" + from + "/derive?secrets=1", body);
  }
  bool works(const ParsedJson& right) { return invoke(right["uri"]).body["kind"] == "answer"; }
};

TEST_F(Trees, derived_rights_are_narrower_and_end_with_what_they_came_from) {
  const ParsedJson root = create(R"(, "rate": 100, "label": 5)");
  const Reply child = derive(id(root), R"({"rate": 10, "can": "send,derive"})");
  ASSERT_EQ(child.status, 201) << child.body;
  EXPECT_EQ(child.body["parent"], id(root));
  EXPECT_EQ(child.body["can"], "send,derive");
  EXPECT_EQ(child.body["label"], 5);
  EXPECT_EQ(derive(id(root), R"({"rate": 101})").status, 403);
  EXPECT_EQ(derive(id(root), R"({"can": "send,fly"})").status, 400);
  const Reply grandchild = derive(id(child.body), R"({"can": "send"})");
  ASSERT_EQ(grandchild.status, 201);
  EXPECT_EQ(derive(id(grandchild.body)).status, 403) << "it may not be derived from";
  EXPECT_TRUE(works(grandchild.body));
  const Reply revoked = call("DELETE", "/v1/rights/" + id(root));
  EXPECT_EQ(revoked.body["count"], 3);
  for (const ParsedJson& right : {root, child.body, grandchild.body}) EXPECT_FALSE(works(right));
  EXPECT_EQ(derive(id(root)).status, 404);
}

TEST_F(Trees, narrowing_goes_down_the_tree_and_never_widens) {
  const ParsedJson root = create(R"(, "rate": 100)");
  const Reply child = derive(id(root), R"({"rate": 50})");
  EXPECT_EQ(
      call("POST", "/v1/rights/" + id(root) + "/attenuate", R"({"rate": 20, "can": "send", "label": 1})")
          .status,
      400);
  EXPECT_EQ(call("POST", "/v1/rights/" + id(root) + "/attenuate", R"({"rate": 20, "can": "send"})")
                .body["attenuated"],
            true);
  EXPECT_EQ(call("POST", "/v1/rights/" + id(root) + "/attenuate", R"({"rate": 0})").status, 200);
  for (const ParsedJson& right : {root, child.body}) {
    const abi::RightFields fields = dataplane_->right(right["slot"]);
    EXPECT_EQ(fields.rate, 20u);
    EXPECT_EQ(fields.permissions, abi::kMaySend);
  }
  EXPECT_TRUE(works(child.body));
  EXPECT_EQ(call("POST", "/v1/rights/1.1/attenuate", R"({"rate": 1})").status, 403)
      << "the one that invoke uses";
}

TEST_F(Trees, names) {
  const ParsedJson desk = create(R"(, "as": "desk")");
  EXPECT_EQ(desk["name"], "desk");
  EXPECT_EQ(call("POST", "/v1/rights", R"({"process": "echo", "as": "desk"})").status, 409);
  EXPECT_EQ(call("POST", "/v1/rights", R"({"process": "echo", "as": "echo"})").status, 409)
      << "a process is called so";
  EXPECT_EQ(call("POST", "/v1/rights", R"({"process": "echo", "as": "De sk"})").status, 400);
  const Reply intern = derive("desk", R"({"as": "intern"})");
  EXPECT_EQ(intern.body["parent"], id(desk));
  stop_control();
  start_control();
  ASSERT_TRUE(attached());
  EXPECT_EQ(call("POST", "/v1/rights/intern/attenuate", R"({"rate": 9})").status, 200);
  EXPECT_EQ(call("DELETE", "/v1/rights/desk").body["count"], 2);
  EXPECT_EQ(call("DELETE", "/v1/rights/intern").status, 404);
  EXPECT_EQ(create(R"(, "as": "desk")")["name"], "desk") << "the name is free again";
}

TEST_F(Trees, many_at_once_or_none) {
  const Reply many = call("POST", "/v1/rights?secrets=1", R"({"process": "echo", "count": 100, "rate": 7})");
  ASSERT_EQ(many.status, 201);
  EXPECT_EQ(many.body["count"], 100);
  EXPECT_EQ(dataplane_->right(many.body["rights"][99]["slot"]).rate, 7u);
  EXPECT_TRUE(works(many.body["rights"][50]));
  EXPECT_NE(many.body["rights"][0]["uri"], many.body["rights"][1]["uri"]);
  const Reply below =
      call("POST", "/v1/rights/" + id(many.body["rights"][0]) + "/derive", R"({"count": 120})");
  EXPECT_EQ(below.status, 201);
  EXPECT_EQ(call("POST", "/v1/rights", R"({"process": "echo", "count": 100})").status, 507);
  EXPECT_EQ(call("GET", "/v1/rights").body["rights"].size(), 1u + 100 + 120);
  for (const char* more :
       {R"("count": 0)", R"("count": 10001)", R"("count": 2, "as": "x")", R"("count": 2, "holder": "echo")"})
    EXPECT_EQ(call("POST", "/v1/rights", R"({"process": "echo", )" + std::string(more) + "}").status, 400)
        << more;
  EXPECT_EQ(call("DELETE", "/v1/rights/" + id(many.body["rights"][0])).body["count"], 121);
  EXPECT_FALSE(works(many.body["rights"][0]));
  EXPECT_EQ(call("POST", "/v1/rights", R"({"process": "echo", "count": 100})").status, 201)
      << "freed slots are used again";
}

TEST_F(Trees, what_a_grant_may_do) {
  ASSERT_EQ(deploy("twice", "module", "&grant=a=echo,can=send%2Bcarry").status, 201);
  const ParsedJson grant = call("GET", "/v1/processes/twice").body["grants"][0];
  EXPECT_EQ(grant["can"], "send,carry");
  EXPECT_EQ(deploy("thrice", "module", "&grant=a=echo,can=send%2Bsend").status, 400);
}

RightRecord parent_of(std::uint32_t rate, std::uint32_t burst) {
  RightRecord parent;
  parent.slot = 9;
  parent.generation = 2;
  parent.rate = rate;
  parent.burst = burst;
  parent.in_flight_max = 10;
  parent.body_max = 100;
  parent.deadline_max_us = 1000;
  return parent;
}

TEST(Narrow, bursts_follow_rates) {
  RightSpec spec;
  spec.rate = 1000;
  EXPECT_EQ(narrowed(parent_of(0, 0), spec, 1)->burst, 100u) << "a tenth of the rate";
  spec.rate = 10;
  EXPECT_EQ(narrowed(parent_of(0, 0), spec, 1)->burst, 32u) << "at least a burst of the NIC";
  EXPECT_EQ(narrowed(parent_of(50, 5), spec, 1)->burst, 5u) << "at most the parent's";
  EXPECT_EQ(narrowed(parent_of(50, 5), {}, 1)->burst, 5u);
  spec.burst = 6;
  EXPECT_EQ(narrowed(parent_of(50, 5), spec, 1).error().code, Errc::not_permitted);
  spec.rate = 0;
  EXPECT_EQ(narrowed(parent_of(50, 5), spec, 1).error().code, Errc::not_permitted)
      << "no limit is above every limit";
  EXPECT_EQ(narrowed(parent_of(0, 0), spec, 1).error().code, Errc::invalid_argument) << "a burst of nothing";
}

TEST(Narrow, ends) {
  RightRecord parent = parent_of(0, 0);
  RightSpec spec;
  spec.expires_unix_ns = 500;
  EXPECT_EQ(narrowed(parent, spec, 100)->expires_unix_ns, 500u);
  EXPECT_EQ(narrowed(parent, spec, 500).error().code, Errc::invalid_argument) << "it is now";
  parent.expires_unix_ns = 499;
  EXPECT_EQ(narrowed(parent, spec, 100).error().code, Errc::not_permitted);
  EXPECT_EQ(narrowed(parent, {}, 100)->expires_unix_ns, 499u);
  EXPECT_EQ(clamped(parent, spec, 100)->expires_unix_ns, 499u);
  spec.expires_unix_ns = 300;
  EXPECT_EQ(clamped(parent, spec, 100)->expires_unix_ns, 300u);
}

TEST(Narrow, permissions_are_words) {
  EXPECT_EQ(parse_permissions("send"), abi::kMaySend);
  EXPECT_EQ(parse_permissions("carry,send,derive"), abi::kPermissionsAll);
  EXPECT_EQ(parse_permissions("send+derive", '+'), abi::kMaySend | abi::kMayDerive);
  for (const char* text : {"", ",", "send,", ",send", "send,send", "Send", "send derive"})
    EXPECT_FALSE(parse_permissions(text)) << text;
  EXPECT_EQ(permissions_text(abi::kPermissionsAll), "send,derive,carry");
}

}  // namespace
}  // namespace pgrid::control::fake
