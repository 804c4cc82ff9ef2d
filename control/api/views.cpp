#include "control/api/views.hpp"

#include <set>

#include "abi/wire/pcid.hpp"
#include "control/api/supervision_form.hpp"

namespace pgrid::control {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

std::string bare(const config::Address& address) {
  std::string text = config::to_string(address);
  return text.substr(0, text.find('/'));
}

const char* name_of(abi::WorkerState state) {
  switch (state) {
    case abi::WorkerState::absent:
      return "absent";
    case abi::WorkerState::starting:
      return "starting";
    case abi::WorkerState::serving:
      return "serving";
    case abi::WorkerState::lost:
      return "lost";
  }
  return "absent";
}

/// What a process is doing, and why.
struct ProcessStateView {
  const char* state;
  std::string text;
};

ProcessStateView state_of(const Node& node, const ProcessRecord& process, const Restarts& restarts) {
  const LoadView load = node.processes().load_view(process.index);
  if (!process.gave_up.empty()) return {"gave_up", process.gave_up};
  if (load.state == LoadState::failed) return {"failed", load.text};
  if (load.state == LoadState::loaded) {
    if (restarts.backoff_ms == 0) return {"loaded", ""};
    return {"backing_off", "restarted more often than it may; served again in " +
                               std::to_string(restarts.backoff_ms) + " ms"};
  }
  const Segments* segments = node.segments();
  if (segments == nullptr) return {"loading", "the data plane is away; it is loaded when that is back"};
  if (process.worker >= segments->geometry().workers) return {"loading", ""};
  const auto worker = static_cast<abi::WorkerState>(segments->worker(process.worker).state.load(kRelaxed));
  if (worker != abi::WorkerState::absent && worker != abi::WorkerState::lost) return {"loading", ""};
  return {"worker_down",
          "worker " + std::to_string(process.worker) + " is down; it is loaded when that is back"};
}

/// Null for a process that was deployed before functions were analysed.
Json verdict_view(const std::string& text) {
  Json verdict = Json::parse(text, nullptr, false);
  return verdict.is_object() ? verdict : Json(nullptr);
}

std::string hex(const BootId& id) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : id) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

}  // namespace

std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json counts_view(const Outcomes& o) {
  return {{"kept", o.kept},
          {"broken", o.broken},
          {"declined", o.declined},
          {"no_answer", o.no_answer},
          {"refused", o.refused}};
}

Endpoint endpoint_of(const config::NodeConfig& config) {
  Endpoint endpoint{.host = "localhost", .port = 4646};
  for (const config::Port& port : config.ports)
    if (!port.addresses.empty()) return {bare(port.addresses.front()), port.udp_port};
  if (!config.ports.empty()) endpoint.port = config.ports.front().udp_port;
  return endpoint;
}

bool is_ours(const config::NodeConfig& config, const std::string& host, std::uint16_t port) {
  const Endpoint first = endpoint_of(config);
  if (host == first.host && port == first.port) return true;
  for (const config::Port& one : config.ports)
    for (const config::Address& address : one.addresses)
      if (port == one.udp_port && host == bare(address)) return true;
  return false;
}

Json node_view(const Node& node) {
  const config::NodeConfig& config = node.config();
  const Segments* segments = node.segments();
  std::set<std::string> addresses;
  bool plaintext = false;
  for (const config::Port& port : config.ports) {
    plaintext = plaintext || port.plaintext;
    for (const config::Address& address : port.addresses) addresses.insert(bare(address));
  }
  Json view = {{"name", config.name},
               {"version", PGRID_VERSION},
               {"boot_id", segments == nullptr ? "" : hex(segments->boot_id())},
               {"started_unix", node.started_unix()},
               {"dataplane", segments == nullptr ? "away" : "attached"},
               {"plaintext", plaintext},
               {"huge_pages", segments != nullptr && segments->gauges().huge_pages.load(kRelaxed) != 0},
               {"message_cid", std::string(wire::kMessage1CidText)},
               {"addresses", addresses},
               {"udp_port", endpoint_of(config).port},
               {"workers", Json::array()},
               {"poll_cores", Json::array()}};
  for (std::uint32_t i = 0; i < config.worker_cores.size(); ++i) {
    const bool known = segments != nullptr && i < segments->geometry().workers;
    Json worker = {{"worker", i}, {"cpu", config.worker_cores[i]}};
    std::uint64_t processes = 0;
    for (const auto& [index, process] : node.state().processes()) processes += process.worker == i;
    if (known) {
      const abi::WorkerStatus& status = segments->worker(i);
      worker["state"] = name_of(static_cast<abi::WorkerState>(status.state.load(kRelaxed)));
      worker["pid"] = status.pid.load(kRelaxed);
      worker["deaths"] = status.deaths.load(kRelaxed);
    } else {
      worker["state"] = "absent";
      worker["pid"] = 0;
      worker["deaths"] = 0;
    }
    worker["processes"] = processes;
    view["workers"].push_back(std::move(worker));
  }
  for (std::uint32_t i = 0; i < config.poll_cores.size(); ++i)
    view["poll_cores"].push_back({{"poll_core", i}, {"cpu", config.poll_cores[i]}});
  return view;
}

Json process_view(const Node& node, const ProcessRecord& process) {
  const Restarts restarts = node.supervision().restarts().of(process);
  const ProcessStateView state = state_of(node, process, restarts);
  Outcomes sum;
  if (const Segments* segments = node.segments())
    for (const RightRecord& right : node.state().rights_of(process.index))
      sum += segments->outcomes(right.slot, right.generation);
  Json view{{"name", process.name},
          {"process", process.index},
          {"cid", process.cid},
          {"worker", process.worker},
          {"state", state.state},
          {"state_text", state.text},
          {"memory_bytes", process.memory_bytes},
          {"time_limit_us", process.time_limit_us},
          {"rate", process.rate},
          {"deployed_unix", process.deployed_unix},
          {"module_bytes", process.module_bytes},
          {"verdict", verdict_view(process.verdict)},
          {"counts", counts_view(sum)}};
  add_supervision(node, process, view);
  return view;
}

Json log_view(const LogLine& line) {
  return {{"seq", line.seq},
          {"time_unix_ms", line.time_unix_ms},
          {"kind", line.is_event ? "event" : "log"},
          {"text", line.text}};
}

}  // namespace pgrid::control
