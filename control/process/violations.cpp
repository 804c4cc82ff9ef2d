#include "control/process/violations.hpp"

#include "control/clock.hpp"

namespace pgrid::control {

Violations& ViolationBook::at(const ProcessRecord& process, const std::string& text) {
  Entry& entry = entries_[process.index];
  if (entry.generation != process.generation) {
    entry = {};
    entry.generation = process.generation;
  }
  entry.violations.last_unix_ms = unix_ms();
  entry.violations.last_text = text;
  return entry.violations;
}

void ViolationBook::add(const ProcessRecord& process, abi::Violation violation, const std::string& text) {
  ++at(process, text).told[static_cast<std::size_t>(violation)];
}

void ViolationBook::add_over_limit(const ProcessRecord& process, std::uint64_t messages, const std::string& text) {
  at(process, text).over_limit += messages;
}

Violations ViolationBook::of(const ProcessRecord& process) const {
  const auto found = entries_.find(process.index);
  if (found == entries_.end() || found->second.generation != process.generation) return {};
  return found->second.violations;
}

}  // namespace pgrid::control
