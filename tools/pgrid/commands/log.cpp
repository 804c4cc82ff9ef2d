// pgrid log: what happened on the node, from its log.
#include <ctime>
#include <thread>

#include "tools/pgrid/command.hpp"

namespace pgrid::tools {
namespace {

constexpr std::uint64_t kShown = 20;
constexpr std::uint64_t kAtOnce = 1'000;              // what one request may give
constexpr std::chrono::milliseconds kLookAgain{500};  // while following

/// "2026-11-21 12:00:00.123" (UTC)
std::string time_text(std::uint64_t unix_ns) {
  const std::uint64_t ms = unix_ns / 1'000'000;
  char text[8];
  std::snprintf(text, sizeof text, ".%03u", static_cast<unsigned>(ms % 1000));
  return date_text(ms / 1000) + text;
}

/// What a function wrote may be in there: control characters must not reach a terminal.
std::string printable(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text;
}

class Log : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own =
        app.add_subcommand("log",
                           "Show what happened on the node: deploys, rights, restarts, violations, tokens. "
                           "`verify` checks the log itself.");
    own.add_option("--process", process_, "only what is about this process").type_name(kProcessWord);
    add_number(own, "-n,--last", last_, "so many of the latest events (20)");
    own.add_flag("-f,--follow", follow_, "wait for more until Ctrl-C");
    own.footer("\nExample:\n  pgrid log --process echo -n 50");
    return own;
  }

  ExitCode run(Context& context) override {
    std::uint64_t after = 0;
    bool is_first = true;
    for (;;) {
      const std::uint64_t limit = is_first ? std::min(last_.value_or(kShown), kAtOnce) : kAtOnce;
      ApiRequest request{.path = "/v1/events",
                         .query = {{"after", std::to_string(after)}, {"limit", std::to_string(limit)}}};
      if (is_first) request.query.emplace_back("newest", "1");
      if (!process_.empty()) request.query.emplace_back("process", process_);
      const auto answer = context.api.call(request);
      if (!answer) return context.report(answer.error());
      const auto events = answer->value("events", nlohmann::json::array());
      for (const auto& event : events) print(context, event);
      after = std::max(after, number_of(*answer, "next"));
      if (!follow_) return ExitCode::ok;
      is_first = false;
      if (events.size() < kAtOnce) std::this_thread::sleep_for(kLookAgain);
    }
  }

 private:
  static void print(const Context& context, const nlohmann::json& event) {
    if (context.printer.json()) return context.printer.print(event);
    std::string line = time_text(number_of(event, "time_unix_ns")) + "  " + printable(text_of(event, "what"));
    if (event.contains("process")) line += "  " + printable(text_of(event, "process"));
    if (event.contains("right")) line += "  right " + printable(text_of(event, "right"));
    if (const std::string text = text_of(event, "text", ""); !text.empty())
      line += "  (" + printable(text) + ")";
    context.printer.say(line);
  }

  std::string process_;
  std::optional<std::uint64_t> last_;
  bool follow_ = false;
};

}  // namespace

std::unique_ptr<Command> make_log() { return std::make_unique<Log>(); }

}  // namespace pgrid::tools
