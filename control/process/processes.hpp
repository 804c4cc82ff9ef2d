// Processes: deployed, brought back, removed. Each journey is a row of steps that wait for others (compiler,
// worker, poll cores) without holding up the loop; every step checks again what may have changed meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "control/capability/grants.hpp"
#include "control/capability/rights.hpp"
#include "control/code_store/code_store.hpp"
#include "control/dataplane_link/link.hpp"
#include "control/event_loop.hpp"
#include "control/log/log_book.hpp"
#include "control/process/compiler.hpp"
#include "control/process/supervision.hpp"
#include "control/store/store.hpp"
#include "drivers/config/node_config.hpp"

namespace pgrid::control {

inline constexpr std::uint64_t kMemoryPage = 64u << 10;          // bytes; a WebAssembly page
inline constexpr std::uint64_t kMemoryDefault = 4u << 20;        // bytes of linear memory
inline constexpr std::uint32_t kTimeLimitDefaultUs = 1'000;      // CPU time for each message
inline constexpr std::uint32_t kMailbox = 1024;                  // messages waiting for one process
inline constexpr std::uint32_t kRestartsMax = 1'000'000;         // in a period; a rebuild takes microseconds
inline constexpr std::uint32_t kRestartPeriodMaxMs = 3'600'000;  // an hour
inline constexpr std::uint32_t kBackOffLongestMs = 3'600'000;    // an hour
inline constexpr std::uint32_t kGiveUpAfterMax = 1'000'000;      // pauses

struct DeployRequest {
  std::string name;
  std::shared_ptr<const Bytes> module;
  std::optional<std::uint64_t> memory_bytes;
  std::optional<std::uint32_t> time_limit_us;
  std::uint32_t rate = 0;
  std::uint32_t restarts_max = kRestartsDefault;
  std::uint32_t restart_period_ms = kRestartPeriodDefaultMs;
  abi::RestartStrategy strategy = abi::RestartStrategy::always;
  std::uint32_t backoff_min_ms = kBackOffMinDefaultMs;
  std::uint32_t backoff_max_ms = kBackOffMaxDefaultMs;
  std::uint32_t give_up_after = kGiveUpAfterDefault;
  std::string group = {};
  bool rest_for_one = false;
  std::optional<std::uint32_t> worker;  // a person's choice; else the least loaded one
  std::vector<GrantRequest> grants;     // what it is to hold, by handle
};

enum class LoadState { loading, loaded, failed, gave_up };

struct LoadView {
  LoadState state = LoadState::loading;
  std::string text;  // of failed: why
};

/// Owned by control's one thread.
class Processes {
 public:
  using OnDeployed = std::function<void(Result<std::uint32_t>)>;  // the process's index
  using OnRemoved = std::function<void(Result<void>)>;
  using OnRestarted = std::function<void(Result<std::uint32_t>)>;  // the process's index

  Processes(EventLoop& loop, const config::NodeConfig& config, Store& store, CodeStore& code, Rights& rights,
            DataplaneLink& link, Compiler& compiler, LogBook& logs, Supervision& supervision)
      : loop_(loop),
        config_(config),
        store_(store),
        code_(code),
        rights_(rights),
        link_(link),
        compiler_(compiler),
        logs_(logs),
        supervision_(supervision) {}

  void deploy(DeployRequest request, OnDeployed done);
  void remove(const std::string& name, OnRemoved done);
  /// A new instance, as a person asks for one. What gave up, or could not be loaded, is tried again.
  void restart(const std::string& name, OnRestarted done);
  [[nodiscard]] LoadView load_view(std::uint32_t index) const;

  /// The data plane is there: places what fits nowhere now, and loads everything. Called after the rights are
  /// published.
  void on_attached();
  void on_lost();
  void on_process_state(const abi::ProcessState& state, const std::string& text);
  void on_worker_change(const abi::WorkerChange& change);

  /// Before publishing rights: gives processes of workers that exist no more to others, then calls `done`. At once
  /// when there is nothing to do.
  void place_all(std::function<void()> done);

 private:
  using OnSettled = std::function<void(Result<void>)>;
  struct Runtime {
    LoadView view;
    OnSettled on_settled;  // somebody waits for loaded, failed or unloaded
    Pending limit;
    bool removing = false;
    bool restarting = false;  // a person asked for it, and it has not answered yet
    std::uint64_t asked_at = 0;  // DataplaneLink::attachment at which it was last asked to be loaded
  };

  [[nodiscard]] Result<void> check(const DeployRequest& request) const;
  [[nodiscard]] static Result<void> check_supervision(const DeployRequest& request);
  [[nodiscard]] Result<void> check_grants(const DeployRequest& request) const;
  /// The one that was asked for, or the least loaded.
  [[nodiscard]] Result<std::uint32_t> pick_worker(const DeployRequest& request) const;
  [[nodiscard]] Result<std::vector<RightRecord>> make_grants(const DeployRequest& request,
                                                             const ProcessRecord& process) const;
  void with_image(const std::string& cid, std::shared_ptr<const Bytes> module, std::uint64_t memory_bytes,
                  Compiler::OnImage done);
  /// Every deploy's module, also when its image is there: the memory that it may use can differ.
  void verify(const std::string& cid, std::shared_ptr<const Bytes> module, std::uint64_t memory_bytes,
              std::function<void(Result<std::string>)> done);
  [[nodiscard]] Result<void> keep(const std::string& cid, const Bytes& module, const Bytes& image);
  void install(const DeployRequest& request, const std::string& cid, const std::string& verdict, OnDeployed done);
  /// Loads a process that is on disk by now, and waits for its worker's word.
  void start(const ProcessRecord& process, OnDeployed done);
  void load(std::uint32_t index);
  void send_load(const ProcessRecord& process, std::span<const std::uint8_t> image);
  void send_unload(const ProcessRecord& process);
  void finish_removal(ProcessRecord process, OnRemoved done);
  void settle(std::uint32_t index, Result<void> result);
  void wait_settled(std::uint32_t index, std::chrono::milliseconds limit, OnSettled done);
  void remove_unused_code(const std::string& cid);

  EventLoop& loop_;
  const config::NodeConfig& config_;
  Store& store_;
  CodeStore& code_;
  Rights& rights_;
  DataplaneLink& link_;
  Compiler& compiler_;
  LogBook& logs_;
  Supervision& supervision_;
  std::map<std::uint32_t, Runtime> runtime_;
  std::vector<ProcessRecord> forgotten_;  // removed while the data plane was away, which may still run them
  std::set<std::string> deploying_names_;
  std::multiset<std::string> deploying_cids_;
};

}  // namespace pgrid::control
