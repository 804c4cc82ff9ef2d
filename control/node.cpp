#include "control/node.hpp"

#include "control/clock.hpp"
#include "control/log/log.hpp"

namespace pgrid::control {

Result<std::unique_ptr<Node>> Node::open(EventLoop& loop, config::NodeConfig config, Compiler& compiler,
                                         std::string engine_fingerprint) {
  Result<std::unique_ptr<Store>> store = Store::open(loop, config.state_dir);
  if (!store) return std::unexpected(store.error());
  Result<CodeStore> code = CodeStore::open(config.state_dir);
  if (!code) return std::unexpected(code.error());
  code->set_fingerprint(std::move(engine_fingerprint));
  return std::unique_ptr<Node>(
      new Node(loop, std::move(config), compiler, std::move(*store), std::move(*code)));
}

Node::Node(EventLoop& loop, config::NodeConfig config, Compiler& compiler, std::unique_ptr<Store> store,
           CodeStore code)
    : config_(std::move(config)),
      started_unix_(unix_s()),
      store_(std::move(store)),
      code_(std::move(code)),
      link_(loop, config::dataplane_socket(config_)),
      rings_(loop, [this](const abi::ControlEvent& event,
                          std::span<const std::byte> body) { on_event(event, body); }),
      logs_(loop),
      rights_(loop, *store_, link_, config_.limits.rights),
      supervision_(loop, *store_, link_, logs_),
      processes_(loop, config_, *store_, code_, rights_, link_, compiler, logs_, supervision_) {}

Node::~Node() = default;

void Node::start() {
  if (store_->torn_bytes() != 0)
    log_warning("cut " + std::to_string(store_->torn_bytes()) +
                " bytes off the journal: the end of a write that was never acknowledged");
  code_.remove_unused([this](const std::string& cid) {
    for (const auto& [index, process] : state().processes())
      if (process.cid == cid) return true;
    return false;
  });
  log_info(std::to_string(state().processes().size()) + " processes and " +
           std::to_string(state().rights().size()) + " rights in " + config_.state_dir.string());
  link_.start(*this);
}

void Node::stop() {
  link_.stop();
  rings_.detach();
}

void Node::on_attached() {
  const Segments& segments = *link_.segments();
  for (const auto& [slot, right] : state().rights())
    if (slot >= segments.geometry().rights) {
      log_error("rights beyond slot " + std::to_string(segments.geometry().rights - 1) +
                " cannot be served: limits.rights is smaller than before");
      break;
    }
  // Rights name workers: place first, publish then, load last. A message that comes before its process is
  // `busy`.
  processes_.place_all([this, attachment = link_.attachment()] {
    if (link_.segments() != nullptr && link_.attachment() == attachment) publish_all();
  });
}

void Node::publish_all() {
  const Segments& segments = *link_.segments();
  const bool same_boot = segments.boot_id() == boot_id_;
  const bool is_another = !same_boot && boot_id_ != BootId{};
  boot_id_ = segments.boot_id();
  const std::uint32_t repaired = rights_.reconcile();
  rings_.attach(segments);
  log_info("attached to the data plane" + std::string(same_boot ? " again" : "") + "; " +
           std::to_string(repaired) + " slots of the right table written");
  supervision_.on_attached(is_another);
  processes_.on_attached();
}

void Node::on_lost() {
  rings_.detach();
  supervision_.on_lost();
  processes_.on_lost();
}

void Node::on_process_state(const abi::ProcessState& state, const std::string& text) {
  processes_.on_process_state(state, text);
}

void Node::on_worker_change(const abi::WorkerChange& change) {
  const bool stopping = link_.segments()->gauges().stopping.load(std::memory_order_relaxed) != 0;
  if (change.state == static_cast<std::uint32_t>(abi::WorkerState::lost) && !stopping)
    log_warning("worker " + std::to_string(change.worker) + " died (" + std::to_string(change.deaths) +
                " deaths); its messages are answered process_failed");
  if (change.state != static_cast<std::uint32_t>(abi::WorkerState::serving))
    supervision_.on_worker_gone(change.worker);
  processes_.on_worker_change(change);
}

void Node::on_event(const abi::ControlEvent& event, std::span<const std::byte> body) {
  const bool is_log = event.type == static_cast<std::uint8_t>(abi::ControlEventType::log);
  const bool is_event = event.type == static_cast<std::uint8_t>(abi::ControlEventType::instance_event);
  // Punts wait for the promise protocol. Lines of a process that is gone are of no use to anybody.
  const ProcessRecord* process = state().process(event.process);
  // A worker speaks for its own processes only.
  if ((!is_log && !is_event) || process == nullptr || process->worker != event.worker) return;
  std::string text(reinterpret_cast<const char*>(body.data()), body.size());
  if (is_log) return logs_.add(event.process, /*is_event=*/false, std::move(text));
  if (process->generation == event.process_generation) supervision_.on_event(*process, event, text);
}

}  // namespace pgrid::control
