#include "control/process/restarts.hpp"

#include "control/clock.hpp"

namespace pgrid::control {

void RestartBook::add(const ProcessRecord& process, const abi::ControlEvent& event, std::string text) {
  Entry& entry = entries_[process.index];
  if (entry.generation != process.generation) {
    entry = {};
    entry.generation = process.generation;
  }
  // Events may be lost when control is slow; the worker's own count tells how many there were.
  entry.restarts.count += event.restarts > entry.told ? event.restarts - entry.told : 1;
  entry.told = event.restarts;
  entry.restarts.last_unix_ms = unix_ms();
  entry.restarts.last_text = std::move(text);
  entry.served_again = Clock::now() + std::chrono::milliseconds(event.backoff_ms);
}

void RestartBook::begin_anew(std::uint32_t process) {
  const auto found = entries_.find(process);
  if (found == entries_.end()) return;
  found->second.told = 0;
  found->second.served_again = {};
}

Restarts RestartBook::of(const ProcessRecord& process) const {
  const auto found = entries_.find(process.index);
  if (found == entries_.end() || found->second.generation != process.generation) return {};
  Restarts restarts = found->second.restarts;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(found->second.served_again - Clock::now());
  if (left.count() > 0) restarts.backoff_ms = static_cast<std::uint32_t>(left.count());
  return restarts;
}

}  // namespace pgrid::control
