#include "tools/pgrid/commands/rights_table.hpp"

#include <map>
#include <set>

#include "drivers/config/units.hpp"
#include "tools/pgrid/command.hpp"

namespace pgrid::tools {
namespace {

std::string id_of(const nlohmann::json& right) { return text_of(right, "slot") + '.' + text_of(right, "generation"); }

struct Row {
  const nlohmann::json* right;
  std::size_t depth;
};

/// Depth first; a right whose parent is not listed is a root.
std::vector<Row> rows_of(const nlohmann::json& rights, bool tree) {
  std::vector<Row> rows;
  if (!tree) {
    for (const auto& right : rights) rows.push_back({&right, 0});
    return rows;
  }
  std::set<std::string> listed;
  for (const auto& right : rights) listed.insert(id_of(right));
  std::multimap<std::string, const nlohmann::json*> children;
  std::vector<Row> open;  // the next one last
  for (auto right = rights.rbegin(); right != rights.rend(); ++right) {
    const std::string parent = text_of(*right, "parent", "");
    if (listed.contains(parent))
      children.emplace(parent, &*right);
    else
      open.push_back({&*right, 0});
  }
  while (!open.empty()) {
    const Row row = open.back();
    open.pop_back();
    rows.push_back(row);
    const auto [first, end] = children.equal_range(id_of(*row.right));
    for (auto child = first; child != end; ++child) open.push_back({child->second, row.depth + 1});
    children.erase(first, end);
  }
  return rows;
}

}  // namespace

std::string counts_text(const nlohmann::json& counts) {
  return "kept " + grouped(number_of(counts, "kept")) + ", broken " + grouped(number_of(counts, "broken")) +
         ", declined " + grouped(number_of(counts, "declined")) + ", no answer " +
         grouped(number_of(counts, "no_answer")) + ", refused " + grouped(number_of(counts, "refused"));
}

Table rights_table(const nlohmann::json& rights, bool secrets, bool tree) {
  std::vector<std::string> headings{"RIGHT", "NAME", "PROCESS", "CAN", "STATE", ">LABEL", ">RATE/S", ">BURST", ">IN FLIGHT", ">BODY MAX",
                                    ">DEADLINE", "EXPIRES (UTC)", ">KEPT", ">BROKEN", ">REFUSED", "HELD BY"};
  if (secrets) headings.emplace_back("SECRET");
  Table table(std::move(headings));
  for (const Row& row : rows_of(rights, tree)) {
    const nlohmann::json& right = *row.right;
    const auto counts = right.value("counts", nlohmann::json::object());
    const std::uint64_t rate = number_of(right, "rate");
    const std::uint64_t expires = number_of(right, "expires_unix");
    table.add({std::string(2 * row.depth, ' ') + id_of(right), right.contains("holder") ? "-" : text_of(right, "name"),
               text_of(right, "process"), text_of(right, "can"), text_of(right, "state"), text_of(right, "label"), rate == 0 ? "no limit" : grouped(rate),
               rate == 0 ? "-" : grouped(number_of(right, "burst")), grouped(number_of(right, "in_flight_max")),
               config::size_text(number_of(right, "body_max")),
               config::duration_text(number_of(right, "deadline_max_us")), expires == 0 ? "never" : date_text(expires),
               grouped(number_of(counts, "kept")), grouped(number_of(counts, "broken")),
               grouped(number_of(counts, "refused")),
               right.contains("holder")
                   ? text_of(right, "holder") + " as " + text_of(right, "name") + ", handle " + text_of(right, "handle")
                   : "-",
               text_of(right, "uri", "")});
  }
  return table;
}

}  // namespace pgrid::tools
