#include "control/code/call_graph.hpp"

#include <algorithm>
#include <limits>
#include <unordered_map>

namespace pgrid::control {
namespace {

void sort_unique(std::vector<std::uint32_t>& numbers) {
  std::ranges::sort(numbers);
  numbers.erase(std::ranges::unique(numbers).begin(), numbers.end());
  numbers.shrink_to_fit();
}

}  // namespace

CallGraph::CallGraph(const code::Module& module, std::span<const std::uint32_t> entries)
    : functions_(static_cast<std::uint32_t>(module.functions.size())),
      callees_(functions_),
      collected_(functions_),
      recursive_(functions_),
      reached_(functions_) {
  std::unordered_map<std::string, std::uint32_t> first;
  for (std::uint32_t i = 0; i < module.types.size(); ++i)
    same_type_.push_back(first.try_emplace(module.types[i].text, i).first->second);
  search(module, entries);
}

std::uint32_t CallGraph::group(const code::Instruction& in) const {
  return groups_.at({same_type_[in.a], in.b});
}

/// A table that no instruction changes and nobody else sees holds what segments put there. Else any function
/// whose reference exists somewhere could get there.
std::uint32_t CallGraph::make_group(const code::Module& module, std::uint32_t type, std::uint64_t table) {
  const auto [found, is_new] =
      groups_.try_emplace({same_type_[type], table}, static_cast<std::uint32_t>(callees_.size()));
  if (!is_new) return found->second;
  const bool is_exported = std::ranges::any_of(
      module.exports, [&](const code::Export& e) { return e.kind == code::Kind::table && e.index == table; });
  const bool is_open = module.changes_tables || module.imports_tables || is_exported;
  std::vector<std::uint32_t> members;
  const auto take = [&](const std::vector<std::uint32_t>& functions) {
    for (const std::uint32_t function : functions)
      if (same_type_[module.functions[function].type] == same_type_[type]) members.push_back(function);
  };
  for (const code::Segment& segment : module.elements)
    if (is_open || segment.table == table) take(segment.functions);
  if (is_open) take(module.referred);
  sort_unique(members);
  callees_.push_back(std::move(members));
  collected_.push_back(true);
  recursive_.push_back(false);
  reached_.push_back(false);
  return found->second;
}

void CallGraph::collect(const code::Module& module, std::uint32_t function) {
  if (collected_[function]) return;
  collected_[function] = true;
  std::vector<std::uint32_t> callees;
  for (const code::Instruction& in : module.functions[function].instructions) {
    if (in.op == code::Op::call) callees.push_back(in.a);
    if (in.op == code::Op::call_indirect) callees.push_back(make_group(module, in.a, in.b));
  }
  sort_unique(callees);
  callees_[function] = std::move(callees);
}

/// Tarjan's strongly connected components (SIAM Journal on Computing 1, 1972), without recursion of its own.
void CallGraph::search(const code::Module& module, std::span<const std::uint32_t> entries) {
  constexpr std::uint32_t kNew = std::numeric_limits<std::uint32_t>::max();
  struct Visit {
    std::uint32_t node;
    std::size_t next;
  };
  std::vector<std::uint32_t> number(functions_, kNew), lowest(functions_, kNew);
  std::vector<bool> waits(functions_);
  std::vector<std::uint32_t> waiting;
  std::vector<Visit> path;
  std::uint32_t count = 0;
  const auto enter = [&](std::uint32_t node) {
    if (node < functions_) collect(module, node);
    number.resize(callees_.size(), kNew);
    lowest.resize(callees_.size(), kNew);
    waits.resize(callees_.size());
    reached_[node] = true;
    number[node] = lowest[node] = count++;
    waits[node] = true;
    waiting.push_back(node);
    path.push_back({node, 0});
  };
  for (const std::uint32_t entry : entries) {
    if (number[entry] == kNew) enter(entry);
    while (!path.empty()) {
      Visit& visit = path.back();
      const std::uint32_t node = visit.node;
      if (visit.next < callees_[node].size()) {
        const std::uint32_t callee = callees_[node][visit.next++];
        if (callee == node) recursive_[node] = true;
        if (number[callee] == kNew)
          enter(callee);
        else if (waits[callee])
          lowest[node] = std::min(lowest[node], number[callee]);
        continue;
      }
      path.pop_back();
      if (!path.empty()) lowest[path.back().node] = std::min(lowest[path.back().node], lowest[node]);
      if (lowest[node] != number[node]) continue;
      const bool is_alone = waiting.back() == node;
      for (std::uint32_t member = kNew; member != node;) {
        member = waiting.back();
        waiting.pop_back();
        waits[member] = false;
        if (!is_alone) recursive_[member] = true;
        order_.push_back(member);
      }
    }
  }
}

}  // namespace pgrid::control
