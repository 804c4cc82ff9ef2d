// Deploy: check, compile, place, journal, publish, load, wait for the worker's word.
#include <algorithm>
#include <cstring>

#include "control/clock.hpp"
#include "control/log/log.hpp"
#include "control/process/processes.hpp"

namespace pgrid::control {
namespace {

constexpr std::chrono::milliseconds kLoadWithin{10'000};  // mapping compiled code takes milliseconds

std::unexpected<Error> away(const char* what) {
  return fail(Errc::unavailable, what, "the data plane is away", "try again when it is back");
}

}  // namespace

bool is_process_name(std::string_view name) {
  return !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

Result<void> Processes::check(const DeployRequest& request) const {
  const std::string operation = "deploy " + request.name;
  if (!is_process_name(request.name))
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
  return {};
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
  with_image(cid, module, *request.memory_bytes,
             [this, request = std::move(request), cid, end = std::move(end)](Result<Bytes> image) {
               if (!image) {
                 Error error = image.error();
                 // What the compiler refuses is the module's fault, not the request's form.
                 if (error.code == Errc::invalid_argument) error.code = Errc::unsupported;
                 return end(std::unexpected(std::move(error)));
               }
               install(request, cid, end);
             });
}

void Processes::with_image(const std::string& cid, std::shared_ptr<const Bytes> module,
                           std::uint64_t memory_bytes, Compiler::OnImage done) {
  if (Result<Bytes> image = code_.image(cid)) return done(std::move(image));
  if (!module) {
    Result<Bytes> stored = code_.module(cid);
    if (!stored) return done(std::move(stored));
    module = std::make_shared<const Bytes>(std::move(*stored));
  }
  compiler_.compile({module, memory_bytes}, [this, cid, module, done = std::move(done)](Result<Bytes> image) {
    if (!image) return done(std::move(image));
    if (Result<void> put = code_.put_module(cid, *module); !put) return done(std::unexpected(put.error()));
    if (Result<void> put = code_.put_image(cid, *image); !put) return done(std::unexpected(put.error()));
    done(std::move(image));
  });
}

Result<std::uint32_t> Processes::pick_worker(std::uint64_t memory_bytes) const {
  const Segments* segments = link_.segments();
  if (segments == nullptr) return away("place a process");
  std::optional<std::uint32_t> best;
  std::uint64_t best_memory = 0;
  bool any = false;
  for (std::uint32_t worker = 0; worker < segments->geometry().workers; ++worker) {
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
        memory + memory_bytes > config_.limits.memory_total)
      continue;
    if (!best || memory < best_memory) {
      best = worker;
      best_memory = memory;
    }
  }
  if (best) return *best;
  if (!any)
    return fail(Errc::unavailable, "place a process", "no worker is serving", "see pgrid stat, or try again");
  return fail(Errc::out_of_resources, "place a process", "every worker is full",
              "remove a process, or raise limits.processes_per_worker or limits.memory_total in node.toml");
}

void Processes::install(const DeployRequest& request, const std::string& cid, OnDeployed done) {
  const Result<std::uint32_t> worker = pick_worker(*request.memory_bytes);
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
                        .deployed_unix = unix_s()};
  const RightSpec spec{
      .label = 0,
      .rate = request.rate,
      .burst = {},
      .in_flight_max = {},
      .body_max = {},
      // A caller by name may wait for as long as the function may compute, and some.
      .deadline_max_us = std::min(kDeadlineMaxUs, kDeadlineDefaultUs + *request.time_limit_us),
      .expires_in_s = {}};
  Result<RightRecord> right = rights_.make(spec, process, /*internal=*/true);
  if (!right) return done(std::unexpected(right.error()));
  const Change changes[] = {process, *right};
  if (Result<void> committed = store_.commit(changes); !committed)
    return done(std::unexpected(committed.error()));
  rights_.publish(right->slot);
  load(process.index);
  wait_settled(process.index, kLoadWithin, [this, process, done = std::move(done)](Result<void> loaded) {
    if (loaded) {
      log_info("deployed " + process.name + " (" + process.cid + ") on worker " +
               std::to_string(process.worker));
      return done(process.index);
    }
    // Nothing stays behind. The name is free again when that is through.
    remove(process.name,
           [done, error = loaded.error()](const Result<void>&) { done(std::unexpected(error)); });
  });
}

}  // namespace pgrid::control
