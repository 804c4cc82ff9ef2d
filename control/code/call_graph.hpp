// Who calls whom. A call through a table can reach every function of its type that can be in that table.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "drivers/wabt/code.hpp"

namespace pgrid::control {

class CallGraph {
 public:
  /// Of what can be reached from `entries`, indices of functions.
  CallGraph(const code::Module& module, std::span<const std::uint32_t> entries);

  /// Nodes are functions, by index, then the groups of functions that an indirect call may reach.
  [[nodiscard]] std::uint32_t group(const code::Instruction& call_indirect) const;
  [[nodiscard]] bool is_group(std::uint32_t node) const { return node >= functions_; }
  [[nodiscard]] std::span<const std::uint32_t> callees(std::uint32_t node) const { return callees_[node]; }

  /// Every node that can be reached, those it calls before it (as far as there is no recursion).
  [[nodiscard]] std::span<const std::uint32_t> order() const { return order_; }
  /// It can reach itself.
  [[nodiscard]] bool is_recursive(std::uint32_t node) const { return recursive_[node]; }
  [[nodiscard]] bool is_reached(std::uint32_t node) const { return reached_[node]; }

 private:
  using Key = std::pair<std::uint32_t, std::uint64_t>;  // type, the first of those that are equal; table
  void collect(const code::Module& module, std::uint32_t function);
  std::uint32_t make_group(const code::Module& module, std::uint32_t type, std::uint64_t table);
  void search(const code::Module& module, std::span<const std::uint32_t> entries);

  std::uint32_t functions_;
  std::vector<std::uint32_t> same_type_;  // by type: the first that is equal to it
  std::map<Key, std::uint32_t> groups_;
  std::vector<std::vector<std::uint32_t>> callees_;
  std::vector<bool> collected_, recursive_, reached_;
  std::vector<std::uint32_t> order_;
};

}  // namespace pgrid::control
