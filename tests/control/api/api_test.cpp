// Shows the API of docs/API.md against a node with a fake data plane: what each request does, and what each
// wrong one gets.
#include <unistd.h>

#include "tests/control/fake/node_fixture.hpp"

namespace pgrid::control::fake {
namespace {

using ApiTest = NodeFixture;

TEST_F(ApiTest, deploy_list_inspect_invoke_remove) {
  start();
  const Reply deployed = deploy("echo", "module", "&memory_bytes=131072&time_limit_us=2000&rate=50");
  ASSERT_EQ(deployed.status, 201) << deployed.body;
  EXPECT_EQ(deployed.body["name"], "echo");
  EXPECT_EQ(deployed.body["state"], "loaded");
  EXPECT_EQ(deployed.body["memory_bytes"], 131072);
  EXPECT_EQ(deployed.body["rate"], 50);
  EXPECT_EQ(deployed.body["module_bytes"], 6);
  const auto loaded = dataplane_->loaded();
  ASSERT_EQ(loaded.size(), 1u);
  EXPECT_EQ(loaded.begin()->second.code, "image of module");
  EXPECT_TRUE(loaded.begin()->second.sealed);
  EXPECT_EQ(loaded.begin()->second.load.limits.time_limit_us, 2000u);
  EXPECT_EQ(call("GET", "/v1/processes").body["processes"].size(), 1u);
  EXPECT_EQ(call("GET", "/v1/processes/echo").body["rights"].size(), 1u);
  const Reply answer = invoke("echo");
  EXPECT_EQ(answer.body["kind"], "answer");
  EXPECT_EQ(answer.body["reason"], "none");
  EXPECT_EQ(answer.body["body_base64"], "aGVsbG8=");
  EXPECT_EQ(answer.body["round_trip_ns"], 1234);
  EXPECT_EQ(call("DELETE", "/v1/processes/echo").body["removed"], true);
  EXPECT_TRUE(dataplane_->loaded().empty());
  EXPECT_EQ(call("GET", "/v1/processes").body["processes"].size(), 0u);
  EXPECT_EQ(call("GET", "/v1/rights").body["rights"].size(), 0u);
  EXPECT_EQ(call("DELETE", "/v1/processes/echo").status, 404);
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path() / "state" / "code")) << "unused code is removed";
}

TEST_F(ApiTest, the_same_code_is_compiled_once_and_kept_while_somebody_uses_it) {
  start();
  ASSERT_EQ(deploy("one").status, 201);
  ASSERT_EQ(deploy("two").status, 201);
  EXPECT_EQ(compiler_.compiled, 1);
  EXPECT_NE(call("GET", "/v1/processes/one").body["worker"], call("GET", "/v1/processes/two").body["worker"])
      << "the least loaded worker is taken";
  EXPECT_EQ(call("DELETE", "/v1/processes/one").status, 200);
  ASSERT_EQ(deploy("three").status, 201);
  EXPECT_EQ(compiler_.compiled, 1);
}

TEST_F(ApiTest, a_refused_module_leaves_nothing) {
  start();
  const Reply refused = deploy("bad", "bad module");
  EXPECT_EQ(refused.status, 422);
  EXPECT_EQ(refused.body["error"]["code"], "refused");
  EXPECT_NE(refused.body["error"]["message"].get<std::string>().find("env.abort"), std::string::npos);
  dataplane_->loads = false;
  const Reply failed = deploy("unloadable");
  EXPECT_EQ(failed.status, 422);
  EXPECT_NE(failed.body["error"]["message"].get<std::string>().find("fake worker"), std::string::npos);
  EXPECT_EQ(call("GET", "/v1/processes").body["processes"].size(), 0u);
  EXPECT_EQ(call("GET", "/v1/rights").body["rights"].size(), 0u);
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path() / "state" / "code"));
  dataplane_->loads = true;
  EXPECT_EQ(deploy("unloadable").status, 201) << "the name is free again";
}

TEST_F(ApiTest, names_are_checked_and_unique) {
  start();
  for (const std::string& name :
       std::vector<std::string>{"", "Echo", "a_b", "a.b", "%2e%2e", std::string(64, 'a')})
    EXPECT_EQ(deploy(name).status, 400) << name;
  EXPECT_EQ(deploy(std::string(63, 'a')).status, 201);
  ASSERT_EQ(deploy("echo").status, 201);
  EXPECT_EQ(deploy("echo").status, 409);
  // Two at the same time: one of them.
  const auto first = begin("POST", "/v1/processes?name=twin", "m", "application/wasm");
  const auto second = begin("POST", "/v1/processes?name=twin", "m", "application/wasm");
  ASSERT_TRUE(loop_.run_until([&] { return first->status != 0 && second->status != 0; }, 5s));
  EXPECT_EQ(first->status, 201);
  EXPECT_EQ(second->status, 409);
}

TEST_F(ApiTest, limits_of_a_deploy) {
  config_.limits.module_max = 10;
  config_.limits.memory_max = 1 << 20;
  start();
  EXPECT_EQ(deploy("a", "12345678901").status, 400);
  EXPECT_EQ(deploy("a", "").status, 400);
  EXPECT_EQ(deploy("a", "m", "&memory_bytes=65537").status, 400);
  EXPECT_EQ(deploy("a", "m", "&memory_bytes=2097152").status, 400);
  EXPECT_EQ(deploy("a", "m", "&memory_bytes=1e6").status, 400);
  EXPECT_EQ(deploy("a", "m", "&time_limit_us=0").status, 400);
  EXPECT_EQ(deploy("a", "m", "&colour=red").status, 400);
  EXPECT_EQ(deploy("a", "m", "&rate=1&rate=2").status, 400);
  EXPECT_EQ(call("POST", "/v1/processes?name=a", "m", "text/plain").status, 400);
  EXPECT_EQ(deploy("a", "1234567890", "&memory_bytes=1048576").status, 201);
}

TEST_F(ApiTest, workers_that_are_full) {
  config_.limits.processes_per_worker = 1;
  start();
  EXPECT_EQ(deploy("a").status, 201);
  EXPECT_EQ(deploy("b").status, 201);
  EXPECT_EQ(deploy("c").status, 507);
}

TEST_F(ApiTest, without_a_data_plane) {
  start_control();
  EXPECT_EQ(deploy("echo").status, 503);
  EXPECT_EQ(call("GET", "/v1/stat").status, 503);
  EXPECT_EQ(call("GET", "/v1/node").body["dataplane"], "away");
  EXPECT_EQ(call("GET", "/v1/processes").status, 200);
}

TEST_F(ApiTest, json_is_read_strictly) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  for (const char* body :
       {"", "[]", "{", R"({"process": "echo"} x)", R"({"process": "echo", "colour": 1})", R"({"process": 1})",
        R"({"process": "echo", "rate": -1})", R"({"process": "echo", "rate": 1.5})",
        R"({"process": "echo", "rate": "1"})", R"({"process": "echo", "process": "echo"})", R"({"rate": 1})",
        R"({"process": "echo", "burst": 3})", R"({"process": "echo", "body_max": 1025})",
        R"({"process": "echo", "in_flight_max": 0})", R"({"process": "echo", "in_flight_max": 65536})",
        R"({"process": "echo", "deadline_max_us": 60000001})", R"({"process": "echo", "expires_in_s": 0})",
        R"({"process": "echo", "expires_in_s": 18446744073709551615})"})
    EXPECT_EQ(call("POST", "/v1/rights", body).status, 400) << body;
  EXPECT_EQ(call("POST", "/v1/rights", R"({"process": "nobody"})").status, 404);
  EXPECT_EQ(call("POST", "/v1/rights?secrets=2", R"({"process": "echo"})").status, 400);
  EXPECT_EQ(call("GET", "/v1/rights").body["rights"].size(), 1u) << "none of these made one";
  EXPECT_EQ(call("POST", "/v1/rights", std::string(5000, '[')).status, 400);
}

TEST_F(ApiTest, paths_and_methods) {
  start();
  EXPECT_EQ(call("GET", "/").status, 404);
  EXPECT_EQ(call("GET", "/v1/nothing").status, 404);
  EXPECT_EQ(call("GET", "/v1/processes/none").status, 404);
  EXPECT_EQ(call("GET", "/v1/processes/none/logs").status, 404);
  EXPECT_EQ(call("GET", "/v1/rights?process=none").status, 404);
  EXPECT_EQ(call("POST", "/v1/node").status, 405);
  EXPECT_EQ(call("PUT", "/v1/rights").status, 405);
  EXPECT_EQ(call("GET", "/v1/invoke").status, 405);
  EXPECT_EQ(call("GET", "/v1/node?x=1").status, 400);
  EXPECT_EQ(call("GET", "/v1/node?%zz").status, 400);
  EXPECT_EQ(call("GET", "nonsense").status, 400);
  EXPECT_EQ(call("GET", "/v1/node", "body").status, 400);
}

TEST_F(ApiTest, invoke_checks_what_it_is_given) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  EXPECT_EQ(invoke("nobody").status, 404);
  EXPECT_EQ(invoke("grid://192.0.2.1:4646/short").status, 400);
  EXPECT_EQ(call("POST", "/v1/invoke", R"({"target": "echo", "body_base64": "a"})").status, 400);
  EXPECT_EQ(call("POST", "/v1/invoke", R"({"target": "echo", "body_base64": "a b="})").status, 400);
  const auto with_body = [](std::size_t base64) {
    return R"({"target": "echo", "body_base64": ")" + std::string(base64, 'A') + "\"}";
  };
  EXPECT_EQ(call("POST", "/v1/invoke", with_body(1368)).status, 400) << "1026 bytes";
  EXPECT_EQ(call("POST", "/v1/invoke", with_body(1364)).status, 200) << "1023 bytes";
  const std::string uri = call("GET", "/v1/rights?secrets=1").body["rights"][0]["uri"];
  EXPECT_TRUE(uri.starts_with("grid://192.0.2.1:4646/")) << uri;
  EXPECT_EQ(invoke(uri).status, 200);
  EXPECT_EQ(invoke("grid://192.0.2.9:4646" + uri.substr(uri.rfind('/'))).status, 400) << "another node's";
}

TEST_F(ApiTest, the_right_of_invoke_goes_only_with_its_process) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  EXPECT_EQ(call("DELETE", "/v1/rights/1.1").status, 403);
}

TEST_F(ApiTest, stat_adds_up_and_finds_percentiles) {
  start();
  using abi::Counter;
  abi::PollCoreStats& core = dataplane_->poll_core(0);
  const auto set = [&](Counter counter, std::uint64_t n) {
    core.counters[static_cast<std::size_t>(counter)] = n;
  };
  set(Counter::rx_packets, 100);
  set(Counter::udp_checksum_bad, 10);
  set(Counter::arp_answered, 5);
  set(Counter::dispatched, 85);
  set(Counter::answered, 80);
  core.in_flight = 5;
  core.latency[abi::latency_bucket(1000)] = 90;
  core.latency[abi::latency_bucket(100'000)] = 10;
  const ParsedJson stat = call("GET", "/v1/stat").body;
  EXPECT_EQ(stat["books"]["received"], 100);
  EXPECT_EQ(stat["books"]["ended"], 100);
  EXPECT_EQ(stat["books"]["settled"], 85);
  EXPECT_EQ(stat["books"]["balanced"], true);
  EXPECT_EQ(stat["totals"]["rx_packets"], 100);
  EXPECT_EQ(stat["poll_cores"].size(), 2u);
  const auto& latency = stat["poll_cores"][0]["latency_ns"];
  EXPECT_EQ(latency["count"], 100);
  EXPECT_EQ(latency["p50"], 1023);  // the upper edge of 896 to 1023
  EXPECT_EQ(latency["p90"], 1023);
  EXPECT_GE(latency["p99"].get<int>(), 100'000);
  EXPECT_LE(latency["p99"].get<int>(), 125'000);
  EXPECT_EQ(latency["p99"], latency["max"]);
  set(Counter::rx_packets, 101);
  EXPECT_EQ(call("GET", "/v1/stat").body["books"]["balanced"], false);
}

TEST_F(ApiTest, stat_says_what_things_cost) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  ASSERT_EQ(deploy("other", "module", "&grant=a=echo").status, 201);
  dataplane_->worker(0).instances = 2;
  dataplane_->worker(0).pid = static_cast<std::uint32_t>(::getpid());  // any program that lives
  dataplane_->worker(1).pid = 0x7fff'fff0;                             // one that does not
  const ParsedJson stat = call("GET", "/v1/stat").body;
  const ParsedJson& memory = stat["memory"];
  EXPECT_EQ(memory["rights"], 3);
  EXPECT_EQ(memory["rights_max"], 256);
  EXPECT_EQ(memory["right_bytes"], 64 + 2 * 64) << "a line of the table, and one for each of two poll cores";
  EXPECT_EQ(memory["processes"], 2);
  EXPECT_EQ(memory["process_bytes"], 128);
  EXPECT_EQ(memory["instances"], 2);
  const std::uint64_t resident = stat["workers"][0]["resident_bytes"];
  EXPECT_GT(resident, 1u << 20);
  EXPECT_EQ(stat["workers"][1]["resident_bytes"], 0);
  EXPECT_GT(memory["workers_resident_bytes"], 1u << 20);
  EXPECT_GT(memory["instance_bytes"], 1u << 19);
  EXPECT_GT(memory["control_resident_bytes"], 1u << 20);
  EXPECT_GT(memory["dataplane_resident_bytes"], 1u << 20) << "the fake one is this program";
}

TEST_F(ApiTest, node_says_what_it_is) {
  start();
  const ParsedJson node = call("GET", "/v1/node").body;
  EXPECT_EQ(node["name"], "test");
  EXPECT_EQ(node["dataplane"], "attached");
  EXPECT_EQ(node["plaintext"], true);
  EXPECT_EQ(node["addresses"], ParsedJson({"192.0.2.1"}));
  EXPECT_EQ(node["workers"].size(), 2u);
  EXPECT_EQ(node["workers"][1]["state"], "serving");
  EXPECT_EQ(node["boot_id"].get<std::string>().size(), 32u);
}

}  // namespace
}  // namespace pgrid::control::fake
