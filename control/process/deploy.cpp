// Deploy: check, compile, place, journal, publish, load, wait for the worker's word.
#include <algorithm>
#include <cstring>

#include "control/clock.hpp"
#include "control/log/log.hpp"
#include "control/name.hpp"
#include "control/process/processes.hpp"

namespace pgrid::control {
namespace {

constexpr std::chrono::milliseconds kLoadWithin{10'000};  // mapping compiled code takes milliseconds

std::unexpected<Error> away(const char* what) {
  return fail(Errc::unavailable, what, "the data plane is away", "try again when it is back");
}

}  // namespace

Result<void> Processes::check(const DeployRequest& request) const {
  const std::string operation = "deploy " + request.name;
  if (!is_name(request.name))
    return fail(Errc::invalid_argument, "deploy", "\"" + request.name + "\" is not a name",
                "use 1 to 63 of a-z, 0-9 and -");
  if (store_.state().process(request.name) != nullptr || deploying_names_.contains(request.name))
    return fail(Errc::already_exists, operation, "there is a process of that name",
                "remove it first, or choose another name");
  const config::Limits& limits = config_.limits;
  if (request.module->empty())
    return fail(Errc::invalid_argument, operation, "the body is empty",
                "send the WebAssembly module as the body");
  if (request.module->size() > limits.module_max)
    return fail(Errc::invalid_argument, operation,
                std::to_string(request.module->size()) + " bytes are more than limits.module_max, " +
                    std::to_string(limits.module_max),
                "make the module smaller, or raise it in node.toml");
  const std::uint64_t memory = request.memory_bytes.value_or(std::min(kMemoryDefault, limits.memory_max));
  if (memory == 0 || memory > limits.memory_max || memory % kMemoryPage != 0)
    return fail(Errc::invalid_argument, operation,
                "memory_bytes " + std::to_string(memory) + " is not possible",
                "give a multiple of 65536 up to limits.memory_max, " + std::to_string(limits.memory_max));
  const std::uint32_t time =
      request.time_limit_us.value_or(std::min(kTimeLimitDefaultUs, limits.time_limit_max_us));
  if (time == 0 || time > limits.time_limit_max_us)
    return fail(Errc::invalid_argument, operation,
                "time_limit_us " + std::to_string(time) + " is not possible",
                "give 1 up to limits.time_limit_max_us, " + std::to_string(limits.time_limit_max_us));
  if (request.restarts_max > kRestartsMax)
    return fail(Errc::invalid_argument, operation,
                std::to_string(request.restarts_max) + " restarts are not possible",
                "give 1 up to " + std::to_string(kRestartsMax) + ", or 0 for no bound");
  if (request.restart_period_ms == 0 || request.restart_period_ms > kRestartPeriodMaxMs)
    return fail(Errc::invalid_argument, operation,
                "a restart period of " + std::to_string(request.restart_period_ms) + " ms is not possible",
                "give 1ms up to 1h");
  if (Result<void> checked = check_supervision(request); !checked) return checked;
  return check_grants(request);
}

Result<void> Processes::check_supervision(const DeployRequest& request) {
  const std::string operation = "deploy " + request.name;
  if (request.backoff_min_ms == 0 || request.backoff_min_ms > request.backoff_max_ms ||
      request.backoff_max_ms > kBackOffLongestMs)
    return fail(Errc::invalid_argument, operation,
                "a back-off of " + std::to_string(request.backoff_min_ms) + " to " +
                    std::to_string(request.backoff_max_ms) + " ms is not possible",
                "give 1ms up to 1h, the shorter first");
  if (request.give_up_after > kGiveUpAfterMax)
    return fail(Errc::invalid_argument, operation,
                "giving up after " + std::to_string(request.give_up_after) + " pauses is not possible",
                "give 0 up to " + std::to_string(kGiveUpAfterMax));
  if (!request.group.empty() && !is_name(request.group))
    return fail(Errc::invalid_argument, operation, "\"" + request.group + "\" is not a name of a group",
                "use 1 to 63 of a-z, 0-9 and -");
  if (request.rest_for_one && request.group.empty())
    return fail(Errc::invalid_argument, operation, "rest-for-one without a group", "name the group");
  return {};
}

Result<void> Processes::check_grants(const DeployRequest& request) const {
  const std::string operation = "deploy " + request.name;
  if (request.grants.size() > abi::kGrantsMax)
    return fail(Errc::invalid_argument, operation,
                std::to_string(request.grants.size()) + " grants are too many",
                "a process holds at most " + std::to_string(abi::kGrantsMax) + " rights");
  std::set<std::string_view> names;
  for (const GrantRequest& grant : request.grants) {
    if (!names.insert(grant.name).second)
      return fail(Errc::invalid_argument, operation, "two grants are named \"" + grant.name + "\"",
                  "give each a name of its own");
    if (grant.target != request.name && find_process(store_.state(), grant.target) == nullptr)
      return std::unexpected(
          no_such_process(operation + " with the grant \"" + grant.name + "\"", grant.target));
  }
  return {};
}

Result<std::vector<RightRecord>> Processes::make_grants(const DeployRequest& request,
                                                        const ProcessRecord& process) const {
  // Compiling took its time: a target may be gone.
  if (Result<void> checked = check_grants(request); !checked) return std::unexpected(checked.error());
  std::vector<RightRecord> grants;
  std::uint32_t handle = abi::kFirstGrant;
  for (const GrantRequest& grant : request.grants) {
    const ProcessRecord* target =
        grant.target == request.name ? &process : find_process(store_.state(), grant.target);
    // One slot is the process's own.
    Result<RightRecord> right = rights_.make(grant.spec, *target, handle - abi::kFirstGrant + 1);
    if (!right) {
      Error error = right.error();
      error.operation = "grant \"" + grant.name + "\": " + error.operation;
      return std::unexpected(std::move(error));
    }
    right->holding = Holding{process.index, process.generation, handle++, grant.name};
    grants.push_back(std::move(*right));
  }
  return grants;
}

void Processes::deploy(DeployRequest request, OnDeployed done) {
  if (Result<void> checked = check(request); !checked) return done(std::unexpected(checked.error()));
  if (link_.segments() == nullptr) return done(away("deploy"));
  request.memory_bytes = request.memory_bytes.value_or(std::min(kMemoryDefault, config_.limits.memory_max));
  request.time_limit_us =
      request.time_limit_us.value_or(std::min(kTimeLimitDefaultUs, config_.limits.time_limit_max_us));
  const std::string cid = cid_of(*request.module).text();
  deploying_names_.insert(request.name);
  deploying_cids_.insert(cid);
  // From here on every way out passes through `end`.
  auto end = [this, name = request.name, cid, done = std::move(done)](Result<std::uint32_t> result) {
    deploying_names_.erase(name);
    deploying_cids_.erase(deploying_cids_.find(cid));
    if (!result) {
      remove_unused_code(cid);
      log_info("deploy " + name + " refused: " + result.error().sentence());
    }
    done(std::move(result));
  };
  auto module = request.module;
  verify(cid, module, *request.memory_bytes,
         [this, request = std::move(request), cid, end = std::move(end)](Result<std::string> verdict) {
           if (!verdict) {
             Error error = verdict.error();
             // What the compiler refuses is the module's fault, not the request's form.
             if (error.code == Errc::invalid_argument) error.code = Errc::unsupported;
             return end(std::unexpected(std::move(error)));
           }
           install(request, cid, *verdict, end);
         });
}

void Processes::verify(const std::string& cid, std::shared_ptr<const Bytes> module, std::uint64_t memory_bytes,
                       std::function<void(Result<std::string>)> done) {
  const CompileJob job{module, memory_bytes, code_.image(cid).has_value()};
  compiler_.compile(job, [this, cid, job, done = std::move(done)](Result<CompileResult> compiled) {
    if (!compiled) return done(std::unexpected(compiled.error()));
    if (!job.only_verify)
      if (Result<void> put = keep(cid, *job.module, compiled->image); !put) return done(std::unexpected(put.error()));
    done(std::move(compiled->verdict));
  });
}

Result<void> Processes::keep(const std::string& cid, const Bytes& module, const Bytes& image) {
  if (Result<void> put = code_.put_module(cid, module); !put) return put;
  return code_.put_image(cid, image);
}

void Processes::with_image(const std::string& cid, std::shared_ptr<const Bytes> module,
                           std::uint64_t memory_bytes, Compiler::OnImage done) {
  if (Result<Bytes> image = code_.image(cid)) return done(std::move(image));
  if (!module) {
    Result<Bytes> stored = code_.module(cid);
    if (!stored) return done(std::move(stored));
    module = std::make_shared<const Bytes>(std::move(*stored));
  }
  compiler_.compile({module, memory_bytes}, [this, cid, module, done = std::move(done)](Result<CompileResult> compiled) {
    if (!compiled) return done(std::unexpected(compiled.error()));
    if (Result<void> put = keep(cid, *module, compiled->image); !put) return done(std::unexpected(put.error()));
    done(std::move(compiled->image));
  });
}

Result<std::uint32_t> Processes::pick_worker(const DeployRequest& request) const {
  const Segments* segments = link_.segments();
  if (segments == nullptr) return away("place a process");
  const std::uint32_t workers = segments->geometry().workers;
  if (request.worker && *request.worker >= workers)
    return fail(Errc::invalid_argument, "place a process",
                "there is no worker " + std::to_string(*request.worker),
                workers == 1 ? "there is only worker 0" : "give 0 to " + std::to_string(workers - 1));
  std::optional<std::uint32_t> best;
  std::uint64_t best_memory = 0;
  bool any = false;
  for (std::uint32_t worker = request.worker.value_or(0); worker < workers; ++worker) {
    if (request.worker && worker != *request.worker) break;
    const auto state =
        static_cast<abi::WorkerState>(segments->worker(worker).state.load(std::memory_order_relaxed));
    if (state != abi::WorkerState::serving && state != abi::WorkerState::starting) continue;
    any = true;
    std::uint32_t processes = 0;
    std::uint64_t memory = 0;
    for (const auto& [index, process] : store_.state().processes()) {
      if (process.worker != worker) continue;
      ++processes;
      memory += process.memory_bytes;
    }
    if (processes >= config_.limits.processes_per_worker || processes >= segments->geometry().processes ||
        memory + *request.memory_bytes > config_.limits.memory_total)
      continue;
    if (!best || memory < best_memory) {
      best = worker;
      best_memory = memory;
    }
  }
  if (best) return *best;
  const std::string which = request.worker ? "worker " + std::to_string(*request.worker) : "";
  if (!any)
    return fail(Errc::unavailable, "place a process",
                which.empty() ? "no worker is serving" : which + " does not serve now",
                "see pgrid stat, or try again");
  return fail(Errc::out_of_resources, "place a process",
              which.empty() ? "every worker is full" : which + " is full",
              "remove a process, or raise limits.processes_per_worker or limits.memory_total in node.toml");
}

void Processes::install(const DeployRequest& request, const std::string& cid, const std::string& verdict, OnDeployed done) {
  const Result<std::uint32_t> worker = pick_worker(request);
  if (!worker) return done(std::unexpected(worker.error()));
  const std::optional<Place> place = store_.state().free_index(abi::kProcessesMax);
  if (!place) return done(fail(Errc::out_of_resources, "deploy " + request.name, "no process index is free"));
  ProcessRecord process{.index = place->number,
                        .generation = place->generation,
                        .name = request.name,
                        .cid = cid,
                        .module_bytes = request.module->size(),
                        .memory_bytes = *request.memory_bytes,
                        .time_limit_us = *request.time_limit_us,
                        .rate = request.rate,
                        .worker = *worker,
                        .deployed_unix = unix_s(),
                        .restarts_max = request.restarts_max,
                        .restart_period_ms = request.restart_period_ms,
                        .strategy = request.strategy,
                        .backoff_min_ms = request.backoff_min_ms,
                        .backoff_max_ms = request.backoff_max_ms,
                        .give_up_after = request.give_up_after,
                        .group = request.group,
                        .rest_for_one = request.rest_for_one,
                        .verdict = verdict};
  RightSpec spec;
  spec.rate = request.rate;
  // A caller by name may wait for as long as the function may compute, and some.
  spec.deadline_max_us = std::min(kDeadlineMaxUs, kDeadlineDefaultUs + *request.time_limit_us);
  Result<RightRecord> right = rights_.make(spec, process);
  if (!right) return done(std::unexpected(right.error()));
  right->internal = true;
  const Result<std::vector<RightRecord>> grants = make_grants(request, process);
  if (!grants) return done(std::unexpected(grants.error()));
  std::vector<Change> changes{process, *right};
  changes.insert(changes.end(), grants->begin(), grants->end());
  std::vector<std::uint32_t> slots{right->slot};
  for (const RightRecord& grant : *grants) slots.push_back(grant.slot);
  store_.commit(std::move(changes), [this, process, slots = std::move(slots),
                                     done = std::move(done)](const Result<void>& committed) {
    // Also when it was taken back: the data plane may have attached meanwhile and been told of it.
    for (const std::uint32_t slot : slots) rights_.publish(slot);
    if (committed) return start(process, done);
    if (link_.segments() != nullptr && runtime_.contains(process.index)) send_unload(process);
    runtime_.erase(process.index);
    done(std::unexpected(committed.error()));
  });
}

void Processes::start(const ProcessRecord& process, OnDeployed done) {
  const std::string operation = "deploy " + process.name;
  const ProcessRecord* now = store_.state().process(process.index);
  if (now == nullptr || now->generation != process.generation || runtime_[process.index].removing)
    return done(fail(Errc::not_found, operation, "it was removed meanwhile"));
  // Nothing stays behind. The name is free again when that is through.
  const auto take_back = [this, name = process.name, done](const Error& error) {
    remove(name, [done, error](const Result<void>&) { done(std::unexpected(error)); });
  };
  if (link_.segments() == nullptr) return take_back(away("deploy").error());
  if (runtime_[process.index].asked_at != link_.attachment()) load(process.index);
  wait_settled(process.index, kLoadWithin, [process, done, take_back](Result<void> loaded) {
    if (loaded) {
      log_info("deployed " + process.name + " (" + process.cid + ") on worker " +
               std::to_string(process.worker));
      return done(process.index);
    }
    take_back(loaded.error());
  });
}

}  // namespace pgrid::control
