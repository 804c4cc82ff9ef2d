// Everything of a running control except the socket that people reach it by: who owns what, and who is told
// when the data plane comes and goes.
#pragma once

#include <memory>

#include "control/capability/expiry.hpp"
#include "control/capability/instances.hpp"
#include "control/capability/rights.hpp"
#include "control/code_store/code_store.hpp"
#include "control/dataplane_link/link.hpp"
#include "control/dataplane_link/rings.hpp"
#include "control/event_loop.hpp"
#include "control/identity/identity.hpp"
#include "control/log/log_book.hpp"
#include "control/process/compiler.hpp"
#include "control/process/processes.hpp"
#include "control/process/supervision.hpp"
#include "control/promise/service.hpp"
#include "control/store/store.hpp"
#include "control/token/tokens.hpp"
#include "drivers/config/node_config.hpp"

namespace pgrid::control {

/// Owned by control's one thread.
class Node : private LinkListener {
 public:
  /// Opens the durable state. `compiler` and `loop` outlive the node.
  [[nodiscard]] static Result<std::unique_ptr<Node>> open(EventLoop& loop, config::NodeConfig config,
                                                          Compiler& compiler, std::string engine_fingerprint);
  ~Node();

  void start();
  void stop();

  [[nodiscard]] const config::NodeConfig& config() const { return config_; }
  [[nodiscard]] const State& state() const { return store_->state(); }
  [[nodiscard]] const Segments* segments() const { return link_.segments(); }
  [[nodiscard]] std::int64_t started_unix() const { return started_unix_; }
  [[nodiscard]] Rights& rights() { return rights_; }
  [[nodiscard]] Processes& processes() { return processes_; }
  [[nodiscard]] const Processes& processes() const { return processes_; }
  [[nodiscard]] Supervision& supervision() { return supervision_; }
  [[nodiscard]] const Supervision& supervision() const { return supervision_; }
  /// 0 while it is away.
  [[nodiscard]] std::uint32_t dataplane_pid() const { return link_.peer_pid(); }
  [[nodiscard]] LogBook& logs() { return logs_; }
  [[nodiscard]] ControlRings& rings() { return rings_; }
  /// What happened, from the log; `done` is called from the loop, never from in here.
  void events(EventQuery query, std::function<void(Result<std::vector<Event>>)> done) {
    store_->events(std::move(query), std::move(done));
  }
  [[nodiscard]] identity::Identity& identity() { return identity_; }
  [[nodiscard]] Tokens& tokens() { return tokens_; }
  [[nodiscard]] PromiseService& promises() { return promises_; }
  [[nodiscard]] const PromiseService& promises() const { return promises_; }

 private:
  Node(EventLoop& loop, config::NodeConfig config, Compiler& compiler, std::unique_ptr<Store> store,
       CodeStore code);
  void on_attached() override;
  void publish_all();
  void history_of(const ProcessRecord& process, std::uint64_t since, std::uint64_t count, PromiseKnowledge::OnEvents done);
  void on_lost() override;
  void on_process_state(const abi::ProcessState& state, const std::string& text) override;
  void on_worker_change(const abi::WorkerChange& change) override;
  void on_event(const RingEvent& event);

  config::NodeConfig config_;
  std::int64_t started_unix_;
  std::unique_ptr<Store> store_;
  CodeStore code_;
  DataplaneLink link_;
  ControlRings rings_;
  LogBook logs_;
  Rights rights_;
  identity::Identity identity_;
  Tokens tokens_;
  Instances instances_;
  PromiseService promises_;
  Expiry expiry_;
  Supervision supervision_;
  Processes processes_;
  BootId boot_id_{};  // of the data plane that was attached last
};

}  // namespace pgrid::control
