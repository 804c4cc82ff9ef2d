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

std::string clipped(std::string text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most - 1;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // not within UTF-8
  return text.substr(0, end) + "\u2026";
}

}  // namespace pgrid::tools
