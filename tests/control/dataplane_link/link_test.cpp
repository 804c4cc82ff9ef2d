// Shows that control outlives its data plane: it comes and goes, speaks nonsense, hangs, or corrupts its
// rings, and control attaches again, brings everything back, and answers whoever was waiting.
#include "control/clock.hpp"
#include "tests/control/fake/node_fixture.hpp"

namespace pgrid::control::fake {
namespace {

using LinkTest = NodeFixture;

TEST_F(LinkTest, the_data_plane_may_come_late) {
  start_control();
  EXPECT_FALSE(loop_.run_until([&] { return node_->segments() != nullptr; }, 50ms));
  start_dataplane();
  EXPECT_TRUE(attached());
}

TEST_F(LinkTest, a_new_data_plane_gets_everything_again) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  const ParsedJson before = call("GET", "/v1/rights?secrets=1").body;
  dataplane_.reset();
  ASSERT_TRUE(loop_.run_until([&] { return node_->segments() == nullptr; }, 5s));
  EXPECT_EQ(call("GET", "/v1/processes/echo").body["state"], "loading");
  EXPECT_EQ(invoke("echo").status, 503);
  start_dataplane();
  ASSERT_TRUE(attached());
  ASSERT_TRUE(
      loop_.run_until([&] { return call("GET", "/v1/processes/echo").body["state"] == "loaded"; }, 5s));
  EXPECT_EQ(dataplane_->loaded().at(0).code, "image of module");
  EXPECT_EQ(invoke("echo").body["kind"], "answer");
  EXPECT_EQ(call("GET", "/v1/rights?secrets=1").body, before);
  EXPECT_EQ(compiler_.compiled, 1) << "compiled code is kept";
}

TEST_F(LinkTest, a_new_control_with_another_engine_compiles_again) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  stop_control();
  start_control("engine 2");
  ASSERT_TRUE(attached());
  EXPECT_TRUE(
      loop_.run_until([&] { return call("GET", "/v1/processes/echo").body["state"] == "loaded"; }, 5s));
  EXPECT_EQ(compiler_.compiled, 2);
}

TEST_F(LinkTest, whoever_waits_is_told_when_the_data_plane_goes) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  dataplane_->answers = false;
  const auto waiting = begin("POST", "/v1/invoke", R"({"target": "echo"})");
  dataplane_->answers_loads = false;
  const auto deploying = begin("POST", "/v1/processes?name=late", "other", "application/wasm");
  ASSERT_TRUE(loop_.run_until([&] { return dataplane_->loaded().size() == 2; }, 5s));
  EXPECT_EQ(waiting->status, 0);
  dataplane_.reset();
  ASSERT_TRUE(loop_.run_until([&] { return waiting->status != 0 && deploying->status != 0; }, 5s));
  EXPECT_EQ(waiting->status, 503);
  EXPECT_EQ(deploying->status, 503);
  EXPECT_EQ(call("GET", "/v1/processes/late").status, 404) << "nothing of it stays";
}

TEST_F(LinkTest, an_answer_that_never_comes_ends_in_time) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  dataplane_->answers = false;
  EXPECT_EQ(call("POST", "/v1/invoke", R"({"target": "echo", "deadline_us": 1000})").status, 504);
}

TEST_F(LinkTest, nonsense_on_the_socket_ends_the_connection_and_control_comes_back) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  abi::ProcessState state{};
  state.header = abi::handover_header<abi::ProcessState>(abi::HandoverType::process_state);
  const auto attack = [&](const void* bytes, std::size_t size) {
    const std::uint32_t hellos = dataplane_->hellos();
    dataplane_->send_to_control(bytes, size);
    EXPECT_TRUE(
        loop_.run_until([&] { return dataplane_->hellos() > hellos && node_->segments() != nullptr; }, 5s));
  };
  attack("x", 1);
  attack(&state, sizeof state - 1);
  abi::ProcessState other_version = state;
  other_version.header.version = 99;
  attack(&other_version, sizeof other_version);
  abi::WorkerChange change{};
  change.header = abi::handover_header<abi::WorkerChange>(abi::HandoverType::worker_change);
  change.worker = 5000;
  attack(&change, sizeof change);
  std::vector<char> large(2000, 'x');
  attack(large.data(), large.size());
  EXPECT_EQ(invoke("echo").body["kind"], "answer");
}

TEST_F(LinkTest, states_of_processes_that_are_not_there_are_ignored) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  abi::ProcessState state{};
  state.header = abi::handover_header<abi::ProcessState>(abi::HandoverType::process_state);
  state.status = abi::ProcessStatus::failed;
  std::memset(state.text, 'x', sizeof state.text);  // no NUL
  state.process = 77;
  state.generation = 1;
  dataplane_->send_to_control(&state, sizeof state);
  state.process = 0;
  state.generation = 9;  // an earlier or later use of the index
  dataplane_->send_to_control(&state, sizeof state);
  EXPECT_EQ(invoke("echo").body["kind"], "answer");
  EXPECT_EQ(call("GET", "/v1/processes/echo").body["state"], "loaded");
  state.generation = 1;
  dataplane_->send_to_control(&state, sizeof state);
  EXPECT_TRUE(
      loop_.run_until([&] { return call("GET", "/v1/processes/echo").body["state"] == "failed"; }, 5s));
  EXPECT_EQ(call("GET", "/v1/processes/echo").body["state_text"], std::string(sizeof state.text, 'x'));
}

TEST_F(LinkTest, a_corrupt_ring_harms_nobody_else) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  dataplane_->corrupt_event_rings();
  loop_.run_until([] { return false; },
                  50ms);  // control has looked, before the fake writes its own index again
  EXPECT_EQ(call("POST", "/v1/invoke", R"({"target": "echo", "deadline_us": 1000})").status, 504);
  EXPECT_EQ(call("POST", "/v1/rights", R"({"process": "echo"})").status, 201);
  EXPECT_EQ(call("GET", "/v1/processes/echo").body["state"], "loaded");
  // A new connection brings new rings.
  dataplane_->drop_control();
  ASSERT_TRUE(loop_.run_until([&] { return node_->segments() == nullptr; }, 5s));
  ASSERT_TRUE(attached());
  EXPECT_EQ(invoke("echo").body["kind"], "answer");
}

TEST_F(LinkTest, an_interrupted_removal_is_finished) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  // As a control leaves it that dies between revoking the rights and forgetting the process.
  stop_control();
  {
    auto store = Store::open(loop_, config_.state_dir);
    ASSERT_TRUE(store);
    bool done = false;
    (*store)->commit(DropRight{1}, [&](const Result<void>& committed) { done = committed.has_value(); });
    ASSERT_TRUE(loop_.run_until([&] { return done; }, 5s));
  }
  start_control();
  ASSERT_TRUE(attached());
  EXPECT_TRUE(loop_.run_until([&] { return call("GET", "/v1/processes/echo").status == 404; }, 5s));
  EXPECT_TRUE(dataplane_->loaded().empty());
}

TEST_F(LinkTest, log_lines_and_events_reach_whoever_waits) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  const Reply none = call("GET", "/v1/processes/echo/logs");
  EXPECT_EQ(none.body["lines"].size(), 0u);
  const auto waiting = begin("GET", "/v1/processes/echo/logs?wait_ms=10000");
  abi::ControlEvent event{};
  event.type = static_cast<std::uint8_t>(abi::ControlEventType::log);
  event.process = 0;
  dataplane_->post(event, "hello \xff");  // not UTF-8
  ASSERT_TRUE(loop_.run_until([&] { return waiting->status != 0; }, 5s));
  ASSERT_EQ(waiting->body["lines"].size(), 1u);
  EXPECT_EQ(waiting->body["lines"][0]["kind"], "log");
  EXPECT_EQ(waiting->body["lines"][0]["text"], "hello \xef\xbf\xbd");
  const std::string next = waiting->body["next"].dump();
  EXPECT_EQ(call("GET", "/v1/processes/echo/logs?after=" + next).body["lines"].size(), 0u);
  EXPECT_EQ(call("GET", "/v1/processes/echo/logs?wait_ms=30&after=" + next).body["next"].dump(), next);
  event.type = static_cast<std::uint8_t>(abi::ControlEventType::instance_event);
  event.process_generation = 1;
  event.instance = 2;
  dataplane_->post(event, "rebuilt: out of bounds");
  event.process_generation = 2;  // of a later use of the index, which is not there
  dataplane_->post(event, "lost");
  event.process_generation = 1;
  event.process = 4711;  // nobody's
  dataplane_->post(event, "lost");
  ASSERT_TRUE(loop_.run_until([&] { return call("GET", "/v1/processes/echo").body["rebuilds"] == 1; }, 5s));
  const Reply event_lines = call("GET", "/v1/processes/echo/logs?after=" + next);
  ASSERT_EQ(event_lines.body["lines"].size(), 1u);
  EXPECT_EQ(event_lines.body["lines"][0]["kind"], "event");
}

TEST_F(LinkTest, the_last_thousand_lines_are_kept) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  for (std::size_t i = 0; i < kLogLines + 50; ++i) node_->logs().add(0, false, std::to_string(i));
  const ParsedJson lines = call("GET", "/v1/processes/echo/logs").body["lines"];
  ASSERT_EQ(lines.size(), kLogLines);
  EXPECT_EQ(lines[0]["text"], "50");
}

TEST_F(LinkTest, lines_of_many_processes_are_bounded_together) {
  LogBook book(loop_);
  book.add(0, false, "a quiet one's only words");
  const std::uint32_t processes = 2 * kLogLinesAll / kLogLines;
  std::size_t kept = 0;
  for (std::uint32_t process = 1; process <= processes; ++process)
    for (std::size_t i = 0; i < kLogLines; ++i) book.add(process, false, "");
  for (std::uint32_t process = 0; process <= processes; ++process) kept += book.after(process, 0).size();
  EXPECT_LE(kept, kLogLinesAll);
  EXPECT_GT(kept, kLogLinesAll / 2);
  EXPECT_EQ(book.after(0, 0).size(), 1u);
  for (std::uint32_t process = 0; process <= processes; ++process) book.forget(process);
  for (std::size_t i = 0; i < kLogLines; ++i) book.add(1, false, "");
  EXPECT_EQ(book.after(1, 0).size(), kLogLines) << "what is forgotten counts no more";
}

}  // namespace
}  // namespace pgrid::control::fake
