// Shows how control supervises: what gave up is said, remembered over restarts of control and of the data plane, and comes back
// when a person says so; the rest of a group is restarted, once for a storm; violations are shown and reach the log, a flood of
// them as a few lines; listeners hear of instances.
#include "control/process/supervision.hpp"

#include "tests/control/fake/node_fixture.hpp"

namespace pgrid::control::fake {
namespace {

struct Heard final : ProcessListener {
  void on_instance(const ProcessRecord& process, std::uint32_t instance) override {
    told.push_back(process.name + " " + std::to_string(instance));
  }
  void on_gave_up(const ProcessRecord& process, const std::string& why) override {
    told.push_back(process.name + " gave up: " + why);
  }
  void on_revived(const ProcessRecord& process) override { told.push_back(process.name + " serves"); }
  std::vector<std::string> told;
};

class SupervisionTest : public NodeFixture {
 protected:
  void post_event(std::uint32_t process, abi::Violation violation, std::uint32_t restarts, const std::string& why,
                  std::uint32_t instance = 1, std::uint32_t backoff_ms = 0) {
    abi::ControlEvent event{};
    event.type = static_cast<std::uint8_t>(abi::ControlEventType::instance_event);
    event.process = process;
    event.worker = node_->state().process(process)->worker;
    event.process_generation = node_->state().process(process)->generation;
    event.violation = static_cast<std::uint8_t>(violation);
    event.restarts = restarts;
    event.backoff_ms = backoff_ms;
    event.instance = instance;
    dataplane_->post(event, why);
  }
  void say(std::uint32_t process, abi::ProcessStatus status, const std::string& why = "") {
    abi::ProcessState state{};
    state.header = abi::handover_header<abi::ProcessState>(abi::HandoverType::process_state);
    state.process = process;
    state.generation = node_->state().process(process)->generation;
    state.worker = node_->state().process(process)->worker;
    state.status = status;
    why.copy(state.text, sizeof state.text - 1);
    dataplane_->send_to_control(&state, sizeof state);
  }
  ParsedJson view(const std::string& name) { return call("GET", "/v1/processes/" + name).body; }
  bool shows(const std::string& name, const char* field, const ParsedJson& value) {
    return loop_.run_until([&] { return view(name)[field] == value; }, 5s);
  }
  bool restarted(std::vector<std::uint32_t> processes) {
    return loop_.run_until([&] { return dataplane_->restarts() == processes; }, 5s);
  }
};

TEST_F(SupervisionTest, what_was_asked_for_is_stored_and_handed_over) {
  start();
  ASSERT_EQ(deploy("plain").status, 201);
  ASSERT_EQ(deploy("asked", "module",
                   "&strategy=on-failure&backoff_min_ms=5&backoff_max_ms=500&give_up_after=3&group=web&rest_for_one=1")
                .status,
            201);
  ASSERT_EQ(deploy("once", "module", "&strategy=never").status, 201);
  stop_control();
  start_control();
  ASSERT_TRUE(attached());
  ASSERT_TRUE(shows("once", "state", "loaded"));
  const auto limits = [&](std::uint32_t process) { return dataplane_->loaded().at(process).load.limits; };
  EXPECT_EQ(limits(0).strategy, abi::RestartStrategy::always);
  EXPECT_EQ(limits(0).backoff_min_ms, 10u);
  EXPECT_EQ(limits(0).backoff_max_ms, 1000u);
  EXPECT_EQ(limits(1).strategy, abi::RestartStrategy::on_failure);
  EXPECT_EQ(limits(1).backoff_min_ms, 5u);
  EXPECT_EQ(limits(1).backoff_max_ms, 500u);
  EXPECT_EQ(limits(1).give_up_after, 3u);
  EXPECT_EQ(limits(2).strategy, abi::RestartStrategy::never);
  const ParsedJson asked = view("asked");
  EXPECT_EQ(asked["strategy"], "on-failure");
  EXPECT_EQ(asked["group"], "web");
  EXPECT_EQ(asked["rest_for_one"], true);
  for (const char* wrong : {"&strategy=sometimes", "&backoff_min_ms=0", "&backoff_min_ms=20&backoff_max_ms=10", "&backoff_max_ms=3600001",
                            "&give_up_after=1000001", "&group=No!", "&rest_for_one=1", "&group=a&rest_for_one=yes"})
    EXPECT_EQ(deploy("wrong", "module", wrong).status, 400) << wrong;
}

TEST_F(SupervisionTest, what_gave_up_stays_so_until_a_person_restarts_it) {
  start();
  Heard heard;
  node_->supervision().listen(heard);
  ASSERT_EQ(deploy("echo").status, 201);
  heard.told.clear();
  say(0, abi::ProcessStatus::gave_up, "it stopped 9 times");
  ASSERT_TRUE(shows("echo", "state", "gave_up"));
  EXPECT_EQ(view("echo")["state_text"], "it stopped 9 times");
  EXPECT_EQ(heard.told, (std::vector<std::string>{"echo 0", "echo gave up: it stopped 9 times"}));
  say(0, abi::ProcessStatus::gave_up, "it stopped 9 times");  // said again
  const auto lines = call("GET", "/v1/processes/echo/logs").body["lines"];
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["text"], "gave up: it stopped 9 times");

  stop_control();
  start_control();
  ASSERT_TRUE(attached());
  EXPECT_EQ(view("echo")["state"], "gave_up") << "control remembers";
  dataplane_.reset();
  start_dataplane();
  ASSERT_TRUE(loop_.run_until([&] { return dataplane_->loaded().contains(0); }, 5s));
  EXPECT_EQ(dataplane_->loaded().at(0).load.gave_up, 1u) << "a new data plane is told";
  EXPECT_EQ(view("echo")["state"], "gave_up");
  EXPECT_EQ(view("echo")["state_text"], "it stopped 9 times");

  Heard heard_later;
  node_->supervision().listen(heard_later);
  ASSERT_TRUE(attached());
  const Reply again = call("POST", "/v1/processes/echo/restart");
  ASSERT_EQ(again.status, 200) << again.body;
  EXPECT_EQ(again.body["state"], "loaded");
  EXPECT_EQ(again.body["gave_up"], "");
  EXPECT_EQ(heard_later.told.back(), "echo serves");
  stop_control();
  start_control();
  ASSERT_TRUE(attached());
  EXPECT_TRUE(shows("echo", "state", "loaded"));
  EXPECT_EQ(dataplane_->loaded().at(0).load.gave_up, 0u);
}

TEST_F(SupervisionTest, giving_up_and_a_restart_that_cross_end_as_the_data_plane_says) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  dataplane_->answers_restarts = false;
  const auto reply = begin("POST", "/v1/processes/echo/restart");
  ASSERT_TRUE(restarted({0}));
  say(0, abi::ProcessStatus::gave_up, "before");
  say(0, abi::ProcessStatus::loaded);
  ASSERT_TRUE(loop_.run_until([&] { return reply->status != 0; }, 5s));
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(view("echo")["state"], "loaded");
  say(0, abi::ProcessStatus::gave_up, "after");
  EXPECT_TRUE(shows("echo", "state_text", "after"));
}

TEST_F(SupervisionTest, a_restart_that_cannot_be_says_why) {
  EXPECT_NO_FATAL_FAILURE(start());
  EXPECT_EQ(call("POST", "/v1/processes/nobody/restart").status, 404);
  ASSERT_EQ(deploy("echo").status, 201);
  EXPECT_EQ(call("GET", "/v1/processes/echo/restart").status, 405);
  dataplane_->answers_restarts = false;
  const auto first = begin("POST", "/v1/processes/echo/restart");
  ASSERT_TRUE(restarted({0}));
  EXPECT_EQ(call("POST", "/v1/processes/echo/restart").status, 503) << "one at a time";
  dataplane_.reset();
  ASSERT_TRUE(loop_.run_until([&] { return first->status != 0; }, 5s));
  EXPECT_EQ(first->status, 503);
  EXPECT_EQ(call("POST", "/v1/processes/echo/restart").status, 503);
}

TEST_F(SupervisionTest, the_rest_of_a_group_is_restarted_once_for_a_storm) {
  start();
  const std::string slow = "&backoff_min_ms=200&backoff_max_ms=400";
  ASSERT_EQ(deploy("first", "m", "&group=web&rest_for_one=1" + slow).status, 201);
  ASSERT_EQ(deploy("second", "m", "&group=web" + slow).status, 201);
  ASSERT_EQ(deploy("alone", "m").status, 201);
  ASSERT_EQ(deploy("other", "m", "&group=db&rest_for_one=1").status, 201);
  ASSERT_EQ(deploy("third", "m", "&group=web&rest_for_one=1" + slow).status, 201);
  ASSERT_EQ(deploy("gone", "m", "&group=web" + slow).status, 201);
  say(5, abi::ProcessStatus::gave_up, "for ever");
  ASSERT_TRUE(shows("gone", "state", "gave_up"));
  post_event(0, abi::Violation::trap, 1, "trap");
  ASSERT_TRUE(restarted({1, 4})) << "in the order of deployment; not itself, not another group, not who gave up";
  // What they tell of it starts nothing.
  post_event(4, abi::Violation::none, 1, "restarted, as it was asked to");
  ASSERT_TRUE(shows("third", "rebuilds", 1));
  // Neither does one whose restart takes nobody with it, or what ends no instance.
  post_event(1, abi::Violation::trap, 2, "trap");
  post_event(0, abi::Violation::handle, 1, "handles");
  ASSERT_TRUE(shows("second", "rebuilds", 2));
  EXPECT_EQ(dataplane_->restarts().size(), 2u);
  for (std::uint32_t i = 2; i < 40; ++i) post_event(0, abi::Violation::trap, i, "trap");
  ASSERT_TRUE(shows("first", "rebuilds", 39));
  ASSERT_TRUE(restarted({1, 4, 1, 4})) << "the last end of an instance is followed by a restart, and the storm by one";
  say(0, abi::ProcessStatus::gave_up, "it stopped");
  ASSERT_TRUE(restarted({1, 4, 1, 4, 1, 4}));
}

TEST_F(SupervisionTest, violations_are_counted_and_shown) {
  start();
  Heard heard;
  node_->supervision().listen(heard);
  ASSERT_EQ(deploy("echo").status, 201);
  heard.told.clear();
  post_event(0, abi::Violation::time, 1, "the time limit passed; 2.3 ms of CPU time for one message, it may use 2.0 ms", 77);
  post_event(0, abi::Violation::handle, 1, "3 sends through handles that it does not hold, the last through 9", 77);
  ASSERT_TRUE(loop_.run_until([&] { return view("echo")["violations"]["counts"]["handle"] == 1; }, 5s));
  EXPECT_EQ(view("echo")["violations"]["counts"]["time"], 1);
  EXPECT_EQ(view("echo")["violations"]["counts"]["trap"], 0);
  EXPECT_EQ(view("echo")["violations"]["last_text"], "handle: 3 sends through handles that it does not hold, the last through 9");
  EXPECT_EQ(view("echo")["rebuilds"], 1) << "only what ended an instance is a restart";
  EXPECT_EQ(heard.told, (std::vector<std::string>{"echo 77"}));
  EXPECT_EQ(call("GET", "/v1/processes/echo/logs").body["lines"].size(), 2u);
}

TEST_F(SupervisionTest, a_worker_s_words_are_words_only) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  post_event(0, abi::Violation::trap, 1, "a\x1b[31m\xff\n" + std::string(900, 'x'));
  ASSERT_TRUE(shows("echo", "rebuilds", 1));
  const auto text = view("echo")["last_rebuild_text"].get<std::string>();
  EXPECT_TRUE(text.starts_with("a?[31m??xxx")) << text;
  EXPECT_LE(text.size(), 700u);
  say(0, abi::ProcessStatus::gave_up, "because\x07\xc3");
  EXPECT_TRUE(shows("echo", "gave_up", "because??"));
}

TEST_F(SupervisionTest, events_of_another_generation_are_nobodys) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  abi::ControlEvent event{};
  event.type = static_cast<std::uint8_t>(abi::ControlEventType::instance_event);
  event.worker = node_->state().process(0)->worker;
  event.process_generation = 9;
  event.violation = static_cast<std::uint8_t>(abi::Violation::trap);
  event.restarts = 1;
  dataplane_->post(event, "of another");
  post_event(0, abi::Violation::trap, 1, "its own");
  ASSERT_TRUE(shows("echo", "rebuilds", 1));
  EXPECT_EQ(view("echo")["last_rebuild_text"], "its own");
}

TEST_F(SupervisionTest, what_a_right_refuses_beyond_its_limits_is_put_down_to_its_holder) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  ASSERT_EQ(deploy("asker", "m", "&grant=words%3Decho,rate%3D5").status, 201);
  const RightRecord held = node_->state().held_by(1).at(0);
  abi::RightAccount& account = dataplane_->account(1, held.slot);
  account.generation = held.generation;
  account.over_limit = 12;
  ASSERT_TRUE(loop_.run_until([&] { return view("asker")["violations"]["counts"]["over_limit"] == 12; }, 5s));
  EXPECT_NE(view("asker")["violations"]["last_text"].get<std::string>().find("5 a second"), std::string::npos);
  EXPECT_EQ(view("echo")["violations"]["counts"]["over_limit"], 0);
  account.over_limit = 15;
  ASSERT_TRUE(loop_.run_until([&] { return view("asker")["violations"]["counts"]["over_limit"] == 15; }, 5s));
}

ProcessRecord record(std::uint32_t index, std::uint32_t generation = 1) {
  ProcessRecord process;
  process.index = index;
  process.generation = generation;
  return process;
}

TEST(Happenings, a_flood_is_a_few_lines_and_nothing_is_forgotten) {
  EventLoop loop;
  std::vector<Happened> written;
  Happenings happenings(loop, [&](Happened one) { written.push_back(std::move(one)); });
  for (int i = 0; i < 1000; ++i) happenings.note(record(3), "violation", "number " + std::to_string(i));
  happenings.note(record(3), "restart", "of another kind");
  happenings.note(record(4), "violation", "of another process");
  happenings.note(record(3, 2), "restart", "of another generation");
  ASSERT_EQ(written.size(), 4u);
  EXPECT_EQ(written[0], (Happened{.what = "violation", .process = 3, .generation = 1, .text = "number 0"}));
  ASSERT_TRUE(loop.run_until([&] { return written.size() == 5; }, 5s));
  EXPECT_EQ(written[4].text, "number 999 (and 998 more since the line before)");
  happenings.note(record(3), "violation", "still");
  EXPECT_EQ(written.size(), 5u);
  happenings.forget(3);
  EXPECT_FALSE(loop.run_until([&] { return written.size() != 5; }, 50ms));
}

}  // namespace
}  // namespace pgrid::control::fake
