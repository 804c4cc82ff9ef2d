// Shows what people see of a process that restarts, backs off or has lost its worker; that limits and the
// choice of a worker reach the data plane and survive a restart of control; and that a flood of events costs
// neither memory nor log.
#include "control/process/restarts.hpp"

#include "tests/control/fake/node_fixture.hpp"

namespace pgrid::control::fake {
namespace {

class RestartsTest : public NodeFixture {
 protected:
  void post_event(std::uint32_t process, std::uint32_t restarts, std::uint32_t backoff_ms,
                  const std::string& why) {
    abi::ControlEvent event{};
    event.type = static_cast<std::uint8_t>(abi::ControlEventType::instance_event);
    event.process = process;
    event.worker = node_->state().process(process)->worker;
    event.process_generation = node_->state().process(process)->generation;
    event.violation = static_cast<std::uint8_t>(abi::Violation::trap);
    event.restarts = restarts;
    event.backoff_ms = backoff_ms;
    dataplane_->post(event, why);
  }
  ParsedJson view(const std::string& name) { return call("GET", "/v1/processes/" + name).body; }
  bool shows(const std::string& name, const char* field, const ParsedJson& value) {
    return loop_.run_until([&] { return view(name)[field] == value; }, 5s);
  }
  void change_worker(std::uint32_t worker, abi::WorkerState state) {
    dataplane_->worker(worker).state = static_cast<std::uint32_t>(state);
    abi::WorkerChange change{};
    change.header = abi::handover_header<abi::WorkerChange>(abi::HandoverType::worker_change);
    change.worker = worker;
    change.state = static_cast<std::uint32_t>(state);
    dataplane_->send_to_control(&change, sizeof change);
  }
};

TEST_F(RestartsTest, limits_are_stored_and_handed_over) {
  start();
  ASSERT_EQ(deploy("plain").status, 201);
  ASSERT_EQ(deploy("limited", "module", "&restarts_max=3&restart_period_ms=5000").status, 201);
  ASSERT_EQ(deploy("free", "module", "&restarts_max=0").status, 201);
  stop_control();
  start_control();
  ASSERT_TRUE(attached());
  ASSERT_TRUE(shows("free", "state", "loaded"));
  const auto limits = [&](std::uint32_t process) { return dataplane_->loaded().at(process).load.limits; };
  EXPECT_EQ(limits(0).restarts_max, 100u);
  EXPECT_EQ(limits(0).restart_period_ms, 1000u);
  EXPECT_EQ(limits(1).restarts_max, 3u);
  EXPECT_EQ(limits(1).restart_period_ms, 5000u);
  EXPECT_EQ(limits(2).restarts_max, 0u);
  EXPECT_EQ(view("limited")["restarts_max"], 3);
  for (const char* wrong :
       {"&restarts_max=1000001", "&restart_period_ms=0", "&restart_period_ms=3600001", "&restarts_max=x"})
    EXPECT_EQ(deploy("wrong", "module", wrong).status, 400) << wrong;
}

TEST_F(RestartsTest, restarts_their_reason_and_the_back_off_are_shown) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  EXPECT_EQ(view("echo")["rebuilds"], 0);
  post_event(0, 1, 0, "trap: unreachable");
  ASSERT_TRUE(shows("echo", "rebuilds", 1));
  EXPECT_EQ(view("echo")["state"], "loaded");
  EXPECT_EQ(view("echo")["last_rebuild_text"], "trap: unreachable");
  EXPECT_GT(view("echo")["last_rebuild_unix_ms"], 0);
  post_event(0, 5, 60'000, "out of time");  // three events were lost on the way
  ASSERT_TRUE(shows("echo", "rebuilds", 5));
  EXPECT_EQ(view("echo")["state"], "backing_off");
  EXPECT_GT(view("echo")["backoff_ms"], 0);
  EXPECT_LE(view("echo")["backoff_ms"], 60'000);
  post_event(0, 6, 50, "out of time");
  EXPECT_TRUE(shows("echo", "state", "loaded")) << "it is served again when the back-off is over";
  EXPECT_EQ(view("echo")["rebuilds"], 6);
  // Another process under the same index has no past.
  EXPECT_EQ(call("DELETE", "/v1/processes/echo").status, 200);
  for (int i = 0; i < 2; ++i) {
    const std::string name = "next" + std::to_string(i);
    ASSERT_EQ(deploy(name).status, 201);
    EXPECT_EQ(view(name)["rebuilds"], 0);
  }
}

TEST_F(RestartsTest, a_process_whose_worker_is_down_shows_that) {
  start();
  ASSERT_EQ(deploy("echo", "module", "&worker=1").status, 201);
  ASSERT_EQ(deploy("other", "module", "&worker=0").status, 201);
  post_event(0, 7, 60'000, "trap");
  ASSERT_TRUE(shows("echo", "state", "backing_off")) << view("echo");
  change_worker(1, abi::WorkerState::lost);
  ASSERT_TRUE(shows("echo", "state", "worker_down"));
  EXPECT_NE(view("echo")["state_text"].get<std::string>().find("worker 1 is down"), std::string::npos);
  EXPECT_EQ(view("other")["state"], "loaded");
  change_worker(1, abi::WorkerState::starting);
  ASSERT_TRUE(shows("echo", "state", "loading"));
  abi::ProcessState state{};
  state.header = abi::handover_header<abi::ProcessState>(abi::HandoverType::process_state);
  state.generation = 1;
  state.worker = 1;
  state.status = abi::ProcessStatus::loaded;
  dataplane_->send_to_control(&state, sizeof state);
  ASSERT_TRUE(shows("echo", "state", "loaded")) << "the new worker knows of no back-off";
  post_event(0, 1, 0, "trap");  // it counts from the start
  EXPECT_TRUE(shows("echo", "rebuilds", 8));
  dataplane_.reset();
  EXPECT_TRUE(shows("echo", "state_text", "the data plane is away; it is loaded when that is back"));
}

TEST_F(RestartsTest, a_flood_of_events_costs_neither_memory_nor_log) {
  start();
  ASSERT_EQ(deploy("echo").status, 201);
  const auto on_disk = [&] {
    std::uintmax_t bytes = 0;
    for (const auto& file : std::filesystem::recursive_directory_iterator(config_.state_dir))
      if (file.is_regular_file()) bytes += file.file_size();
    return bytes;
  };
  const std::uintmax_t before = on_disk();
  for (std::uint32_t i = 1; i <= 2000; ++i) {
    post_event(0, i, 0, std::string(900, 'x'));
    if (i % 50 != 0) continue;
    ASSERT_TRUE(shows("echo", "rebuilds", i));  // the ring holds 64 of them
  }
  EXPECT_EQ(call("GET", "/v1/processes/echo/logs").body["lines"].size(), kLogLines);
  EXPECT_LT(on_disk(), before + 600'000) << "2,000 of them as they came would be 1.8 MB; a few lines a second are written";
}

TEST_F(RestartsTest, a_person_may_choose_the_worker) {
  config_.limits.processes_per_worker = 2;
  start();
  EXPECT_EQ(deploy("a", "m", "&worker=1").body["worker"], 1);
  EXPECT_EQ(deploy("b", "m", "&worker=1").body["worker"], 1);
  const Reply full = deploy("c", "m", "&worker=1");
  EXPECT_EQ(full.status, 507);
  EXPECT_NE(full.body["error"]["message"].get<std::string>().find("worker 1 is full"), std::string::npos)
      << full.body;
  const Reply none = deploy("c", "m", "&worker=2");
  EXPECT_EQ(none.status, 400);
  EXPECT_NE(none.body["error"]["message"].get<std::string>().find("there is no worker 2"), std::string::npos)
      << none.body;
  dataplane_->worker(0).state = static_cast<std::uint32_t>(abi::WorkerState::lost);
  EXPECT_EQ(deploy("c", "m", "&worker=0").status, 503);
  dataplane_->worker(0).state = static_cast<std::uint32_t>(abi::WorkerState::serving);
  EXPECT_EQ(deploy("c").body["worker"], 0) << "the least loaded";
}

}  // namespace
}  // namespace pgrid::control::fake
