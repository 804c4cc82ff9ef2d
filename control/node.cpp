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
      rings_(loop, [this](const RingEvent& event) { on_event(event); }),
      logs_(loop),
      rights_(loop, *store_, link_, config_.limits.rights),
      identity_(config_.state_dir),
      tokens_(loop, *store_, rights_, identity_),
      instances_(*store_, link_, rights_),
      promises_(loop, *store_, rights_, rings_, instances_),
      expiry_(loop, *store_, rights_, [this](const RightRecord& right) { promises_.on_dead(right, Why::expired); }),
      supervision_(loop, *store_, link_, logs_),
      processes_(loop, config_, *store_, code_, rights_, link_, compiler, logs_, supervision_) {
  rights_.listen([this](const RightRecord& right, Why why) { promises_.on_dead(right, why); },
                 [this](const RightRecord& right) { expiry_.follow(right); });
  instances_.listen([this](std::uint32_t process, const Maker& but) { promises_.on_ended(process, but); },
                    [this](const ProcessRecord& process) { promises_.on_gave_up(process); });
  supervision_.listen(instances_);
  promises_.know({.tokens = &tokens_,
                  .did_of =
                      [this](const ProcessRecord& process) {
                        const auto key = identity_.key_of(process);
                        return key ? (*key)->did() : std::string();
                      },
                  .process_of_did = [this](std::string_view did) { return identity_.process_of(did, state()); },
                  .verdict_of = {},
                  .events_of = [this](const ProcessRecord& process, std::uint64_t since, std::uint64_t count,
                                      PromiseKnowledge::OnEvents done) { history_of(process, since, count, std::move(done)); }});
}

Node::~Node() = default;

void Node::history_of(const ProcessRecord& process, std::uint64_t since, std::uint64_t count,
                      PromiseKnowledge::OnEvents done) {
  const EventQuery query{.process = ProcessKey{process.index, process.generation},
                         .name = {},
                         .after = since,
                         .limit = static_cast<std::uint32_t>(count + 1),
                         .newest = false};
  store_->events(query, [done = std::move(done)](const Result<std::vector<Event>>& events) {
    if (!events) return done(std::unexpected(Refusal{abi::Reason::busy, events.error().sentence()}));
    std::vector<EventView> views;
    for (const Event& event : *events) views.push_back({event.number, event.time_unix_ns / 1'000'000, event.what, event.text});
    done(std::move(views));
  });
}

void Node::start() {
  for (const std::string& remark : store_->remarks()) log_warning(remark);
  store_->follow([](const std::string& sentence) { log_warning(sentence); });
  code_.remove_unused([this](const std::string& cid) {
    for (const auto& [index, process] : state().processes())
      if (process.cid == cid) return true;
    return false;
  });
  log_info(std::to_string(state().processes().size()) + " processes and " +
           std::to_string(state().rights().size()) + " rights in " + config_.state_dir.string());
  expiry_.begin();
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
  promises_.on_attached();
  log_info("attached to the data plane" + std::string(same_boot ? " again" : "") + "; " +
           std::to_string(repaired) + " slots of the right table written");
  supervision_.on_attached(is_another);
  processes_.on_attached();
}

void Node::on_lost() {
  rings_.detach();
  promises_.on_lost();
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

void Node::on_event(const RingEvent& event) {
  const abi::ControlEvent& header = event.header;
  const auto is = [&](abi::ControlEventType type) { return header.type == static_cast<std::uint8_t>(type); };
  if (is(abi::ControlEventType::guest_request)) return promises_.on_request(event);
  if (is(abi::ControlEventType::undelivered)) return promises_.on_undelivered(event);
  const bool is_log = is(abi::ControlEventType::log);
  // Punts wait for the promise protocol between nodes. Lines of a process that is gone are of no use to anybody.
  const ProcessRecord* process = state().process(header.process);
  // A worker speaks for its own processes only.
  if ((!is_log && !is(abi::ControlEventType::instance_event)) || process == nullptr || process->worker != header.worker)
    return;
  std::string text(reinterpret_cast<const char*>(event.body.data()), event.body.size());
  if (is_log) return logs_.add(header.process, /*is_event=*/false, std::move(text));
  if (process->generation == header.process_generation) supervision_.on_event(*process, header, text);
}

}  // namespace pgrid::control
