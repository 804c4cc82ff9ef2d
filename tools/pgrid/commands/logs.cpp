// pgrid logs: the lines that a function wrote, and what happened to it.
#include <ctime>

#include "tools/pgrid/command.hpp"

namespace pgrid::tools {
namespace {

constexpr std::uint64_t kWaitMs = 25'000;  // per request while following; docs/API.md allows 30,000

/// "12:00:00.123"
std::string time_text(std::uint64_t unix_ms) {
  const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  std::snprintf(text, sizeof text, "%02d:%02d:%02d.%03u", parts.tm_hour, parts.tm_min, parts.tm_sec,
                static_cast<unsigned>(unix_ms % 1000));
  return text;
}

/// What a function wrote goes to a terminal: control characters must not.
std::string printable(std::string text) {
  for (char& c : text)
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) c = '?';
  return text;
}

class Logs : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own = app.add_subcommand("logs", "Show the lines a function wrote with pg_log, and its traps and restarts.");
    own.add_option("NAME", name_, "name of the process").required().type_name(kProcessWord);
    own.add_flag("-f,--follow", follow_, "wait for more lines until Ctrl-C");
    own.footer("\nExample:\n  pgrid logs -f echo");
    return own;
  }

  ExitCode run(Context& context) override {
    std::uint64_t after = 0;
    for (;;) {
      ApiRequest request{.path = "/v1/processes/" + path_part(name_) + "/logs",
                         .query = {{"after", std::to_string(after)}},
                         .patience = std::chrono::milliseconds(kWaitMs + 10'000)};
      if (follow_) request.query.emplace_back("wait_ms", std::to_string(kWaitMs));
      const auto answer = context.api.call(request);
      if (!answer) return context.report(answer.error());
      const auto lines = answer->value("lines", nlohmann::json::array());
      for (const auto& line : lines) print(context, line);
      const std::uint64_t next = number_of(*answer, "next");
      if (!follow_ && (lines.empty() || next <= after)) return ExitCode::ok;
      after = std::max(after, next);
    }
  }

 private:
  static void print(const Context& context, const nlohmann::json& line) {
    if (context.printer.json()) return context.printer.print(line);
    const bool event = text_of(line, "kind") == "event";
    context.printer.say(time_text(number_of(line, "time_unix_ms")) + (event ? "  * " : "  ") +
                        printable(text_of(line, "text", "")));
  }

  std::string name_;
  bool follow_ = false;
};

}  // namespace

std::unique_ptr<Command> make_logs() { return std::make_unique<Logs>(); }

}  // namespace pgrid::tools
