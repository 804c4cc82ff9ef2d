#include "tools/pgrid/commands/process_text.hpp"

#include "drivers/config/units.hpp"
#include "tools/pgrid/command.hpp"

namespace pgrid::tools {
namespace {

/// What a worker or a guest wrote cannot command the terminal.
std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text;
}

}  // namespace

std::string state_text(const nlohmann::json& process) {
  const std::string state = text_of(process, "state");
  const std::string why = one_line(text_of(process, "state_text", ""));
  if (state == "loaded") return "running";
  if (state == "backing_off") return "backing off " + config::duration_text(number_of(process, "backoff_ms") * 1000);
  if (state == "worker_down") return why;
  if (state == "gave_up") return "gave up: " + why;
  return why.empty() ? state : state + ": " + why;
}

std::string restarts_text(const nlohmann::json& process) {
  const std::uint64_t most = number_of(process, "restarts_max");
  std::string text = grouped(number_of(process, "rebuilds"));
  text += most == 0 ? "; no bound"
                    : "; at most " + grouped(most) + " in " +
                          config::duration_text(number_of(process, "restart_period_ms") * 1000);
  if (const std::uint64_t last = number_of(process, "last_rebuild_unix_ms"); last != 0)
    text += "; the last " + date_text(last / 1000) + " UTC: " + one_line(text_of(process, "last_rebuild_text", ""));
  return text;
}

std::string supervision_text(const nlohmann::json& process) {
  const std::string strategy = text_of(process, "strategy", "");
  if (strategy.empty()) return "-";  // another version
  std::string text = "restart " + strategy;
  if (strategy != "never")
    text += ", back-off " + config::duration_text(number_of(process, "backoff_min_ms") * 1000) + " to " +
            config::duration_text(number_of(process, "backoff_max_ms") * 1000);
  if (strategy == "on-failure")
    text += ", gives up after " + grouped(number_of(process, "give_up_after")) + " pauses without a message handled";
  if (const std::string group = text_of(process, "group", ""); !group.empty()) {
    const auto flag = process.find("rest_for_one");
    const bool rest = flag != process.end() && flag->is_boolean() && flag->get<bool>();
    text += "; group " + group + (rest ? ", takes those deployed later with it" : "");
  }
  return text;
}

std::string violations_text(const nlohmann::json& process) {
  const auto violations = process.value("violations", nlohmann::json::object());
  std::string text;
  const auto counts = violations.value("counts", nlohmann::json::object());
  for (const auto& [name, count] : counts.items())
    if (count.is_number_unsigned() && count.get<std::uint64_t>() != 0)
      text += (text.empty() ? "" : ", ") + name + " " + grouped(count.get<std::uint64_t>());
  if (text.empty()) return "none";
  return text + "; the last " + date_text(number_of(violations, "last_unix_ms") / 1000) +
         " UTC: " + one_line(text_of(violations, "last_text", ""));
}

std::string clipped(std::string text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most - 1;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // not within UTF-8
  return text.substr(0, end) + "\u2026";
}

}  // namespace pgrid::tools
