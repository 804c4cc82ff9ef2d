#include "control/process/groups.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace pgrid::control {
namespace {

using std::chrono::milliseconds;

/// In the order of deployment. Indices rise until all were used once, so they tell the order within a second.
bool is_before(const ProcessRecord& one, const ProcessRecord& other) {
  return std::pair(one.deployed_unix, one.index) < std::pair(other.deployed_unix, other.index);
}

}  // namespace

void Groups::on_ended(const ProcessRecord& process, std::uint32_t back_off_ms) {
  if (!process.rest_for_one || process.group.empty()) return;
  Round& round = rounds_[process.group];
  const auto now = Clock::now();
  if (now >= round.next) {
    if (now >= round.next + milliseconds(process.restart_period_ms)) round.pause = {};
    return restart_rest(process, back_off_ms);
  }
  if (!round.timer) {
    round.waits_for = process.index;
    round.timer = loop_.after(std::chrono::ceil<std::chrono::microseconds>(round.next - now),
                              [this, group = process.group] { end_of_pause(group); });
    return;
  }
  const ProcessRecord* first = state_.process(round.waits_for);
  if (first == nullptr || is_before(process, *first)) round.waits_for = process.index;
}

void Groups::end_of_pause(const std::string& group) {
  const auto found = rounds_.find(group);
  if (found == rounds_.end()) return;
  found->second.timer.reset();
  const ProcessRecord* process = state_.process(found->second.waits_for);
  if (process != nullptr && process->group == group) restart_rest(*process, 0);
}

void Groups::restart_rest(const ProcessRecord& process, std::uint32_t back_off_ms) {
  Round& round = rounds_[process.group];
  const milliseconds least(std::max(process.backoff_min_ms, 1u));
  const milliseconds most = std::max(milliseconds(process.backoff_max_ms), least);
  round.pause = std::clamp(round.pause * 2, least, most);
  round.next = Clock::now() + std::max(round.pause, milliseconds(back_off_ms));
  std::vector<ProcessRecord> rest;
  for (const auto& [index, other] : state_.processes())
    if (other.group == process.group && other.gave_up.empty() && is_before(process, other)) rest.push_back(other);
  std::sort(rest.begin(), rest.end(), is_before);
  for (const ProcessRecord& other : rest) restart_(other);
}

}  // namespace pgrid::control
