#include "control/process/supervision.hpp"

#include <algorithm>
#include <utility>

#include "control/log/log.hpp"

namespace pgrid::control {
namespace {

constexpr std::size_t kTextMax = 700;  // characters: a sentence and a backtrace of some functions

/// A worker's words are believed as words only: nothing that commands a terminal, is no UTF-8, or has no end.
std::string printable(std::string text) {
  if (text.size() > kTextMax) text.resize(kTextMax);
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  return text;
}

std::string with_pause(const std::string& text, std::uint32_t back_off_ms) {
  return back_off_ms == 0 ? text : text + "; not served for " + std::to_string(back_off_ms) + " ms";
}

/// What only happened is not worth an error: who wants to change something hears of a disk that is full.
void ignore(const Result<void>&) {}

}  // namespace

Supervision::Supervision(EventLoop& loop, Store& store, DataplaneLink& link, LogBook& logs)
    : store_(store),
      link_(link),
      logs_(logs),
      happenings_(loop, [this](Happened happened) { store_.commit(std::move(happened), ignore); }),
      groups_(loop, store.state(), [this](const ProcessRecord& process) { send_restart(process); }),
      over_limits_(
          loop, store.state(), [this] { return link_.segments(); },
          [this](const RightRecord& right, std::uint64_t messages) { on_over_limit(right, messages); }) {}

void Supervision::on_event(const ProcessRecord& record, const abi::ControlEvent& event, const std::string& said) {
  const ProcessRecord process = record;  // what is done here may change it
  const std::string text = printable(said);
  const auto violation = event.violation < abi::kViolationCount ? static_cast<abi::Violation>(event.violation)
                                                                : abi::Violation::none;
  const bool stopped = abi::ends_instance(violation);
  if (violation != abi::Violation::none) {
    const std::string evidence = std::string(name_of(violation)) + ": " + text;
    violations_.add(process, violation, evidence);
    happenings_.note(process, "violation", evidence);
  }
  if (stopped || violation == abi::Violation::none) {
    restarts_.add(process, event, text);
    if (process.strategy != abi::RestartStrategy::never)
      happenings_.note(process, "restart", std::to_string(event.restarts) + " since it was loaded; the last: " +
                                             with_pause(text, event.backoff_ms));
    tell_instance(process, event.instance);
  }
  logs_.add(process.index, /*is_event=*/true, with_pause(text, event.backoff_ms));
  if (stopped) groups_.on_ended(process, event.backoff_ms);
}

void Supervision::on_gave_up(const ProcessRecord& record, const std::string& why) {
  if (!record.gave_up.empty()) return;  // it is told again at every attachment
  ProcessRecord process = record;
  process.gave_up = why.empty() ? "it gave up while control was away" : printable(why);
  log_warning(process.name + " gave up: " + process.gave_up);
  logs_.add(process.index, /*is_event=*/true, "gave up: " + process.gave_up);
  store_.commit(process, [name = process.name](const Result<void>& committed) {
    if (!committed) log_error(name + " gave up, which is not on disk: " + committed.error().sentence());
  });
  tell_instance(process, 0);
  for (ProcessListener* listener : listeners_) listener->on_gave_up(process, process.gave_up);
  groups_.on_ended(process, 0);
}

/// Control thinks that it gave up, and it serves: the data plane knows.
void Supervision::on_serves(const ProcessRecord& record) {
  if (record.gave_up.empty()) return;
  ProcessRecord process = record;
  process.gave_up.clear();
  store_.commit(process, ignore);
  on_restarted(process, /*had_given_up=*/true);
}

void Supervision::on_restarted(const ProcessRecord& process, bool had_given_up) {
  if (!had_given_up) return;
  logs_.add(process.index, /*is_event=*/true, "serves again");
  for (ProcessListener* listener : listeners_) listener->on_revived(process);
}

void Supervision::on_worker_gone(std::uint32_t worker) {
  std::vector<ProcessRecord> processes;
  for (const auto& [index, process] : store_.state().processes())
    if (process.worker == worker) processes.push_back(process);
  for (const ProcessRecord& process : processes) {
    restarts_.begin_anew(process.index);
    tell_instance(process, 0);
  }
}

void Supervision::on_attached(bool is_another) {
  over_limits_.begin();
  if (!is_another) return;
  std::vector<ProcessRecord> processes;
  for (const auto& [index, process] : store_.state().processes()) processes.push_back(process);
  for (const ProcessRecord& process : processes) {
    restarts_.begin_anew(process.index);
    tell_instance(process, 0);
  }
}

void Supervision::on_lost() { over_limits_.end(); }

void Supervision::on_removed(std::uint32_t process) {
  happenings_.forget(process);
  violations_.forget(process);
}

void Supervision::send_restart(const ProcessRecord& process) {
  abi::RestartProcess message{};
  message.header = abi::handover_header<abi::RestartProcess>(abi::HandoverType::restart_process);
  message.process = process.index;
  message.generation = process.generation;
  message.worker = process.worker;
  if (link_.segments() != nullptr) link_.send(message);
}

void Supervision::tell_instance(const ProcessRecord& process, std::uint32_t instance) {
  for (ProcessListener* listener : listeners_) listener->on_instance(process, instance);
}

/// Put down to who holds the right; where people or several processes do, to the process that it leads to.
void Supervision::on_over_limit(const RightRecord& right, std::uint64_t messages) {
  const std::uint32_t holder = right.holding ? right.holding->process : right.maker ? right.maker->process : right.process;
  const ProcessRecord* found = store_.state().process(holder);
  const ProcessRecord* target = store_.state().process(right.process);
  if (found == nullptr || target == nullptr) return;
  const ProcessRecord process = *found;
  const std::string text =
      "over_limit: " + std::to_string(messages) + " messages through right " + std::to_string(right.slot) + "." +
      std::to_string(right.generation) + " to " + target->name + " were beyond its limits within a second: " +
      (right.rate == 0 ? "no bound on its rate" : std::to_string(right.rate) + " a second") + ", " +
      std::to_string(right.in_flight_max) + " in flight";
  violations_.add_over_limit(process, messages, text);
  logs_.add(process.index, /*is_event=*/true, text);
  happenings_.note(process, "violation", text);
}

}  // namespace pgrid::control
