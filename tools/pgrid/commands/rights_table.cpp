#include "tools/pgrid/commands/rights_table.hpp"

#include "drivers/config/units.hpp"
#include "tools/pgrid/command.hpp"

namespace pgrid::tools {

std::string counts_text(const nlohmann::json& counts) {
  return "kept " + grouped(number_of(counts, "kept")) + ", broken " + grouped(number_of(counts, "broken")) +
         ", declined " + grouped(number_of(counts, "declined")) + ", no answer " +
         grouped(number_of(counts, "no_answer")) + ", refused " + grouped(number_of(counts, "refused"));
}

Table rights_table(const nlohmann::json& rights, bool secrets) {
  std::vector<std::string> headings{"RIGHT", "PROCESS", "STATE", ">LABEL", ">RATE/S", ">BURST", ">IN FLIGHT", ">BODY MAX",
                                    ">DEADLINE", "EXPIRES (UTC)", ">KEPT", ">BROKEN", ">REFUSED", "HELD BY"};
  if (secrets) headings.emplace_back("SECRET");
  Table table(std::move(headings));
  for (const auto& right : rights) {
    const auto counts = right.value("counts", nlohmann::json::object());
    const std::uint64_t rate = number_of(right, "rate");
    const std::uint64_t expires = number_of(right, "expires_unix");
    table.add({text_of(right, "slot") + '.' + text_of(right, "generation"), text_of(right, "process"),
               text_of(right, "state"), text_of(right, "label"), rate == 0 ? "no limit" : grouped(rate),
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
