// pgrid inspect: everything about one process.
#include "drivers/config/units.hpp"
#include "tools/pgrid/command.hpp"
#include "tools/pgrid/commands/process_text.hpp"
#include "tools/pgrid/commands/rights_table.hpp"
#include "tools/pgrid/commands/verdict_text.hpp"

namespace pgrid::tools {
namespace {

class Inspect : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own = app.add_subcommand("inspect", "Show one process: its code, limits, restarts, counts, the rights to it and those that it holds.");
    own.add_option("NAME", name_, "name of the process").required().type_name(kProcessWord);
    own.footer("\nExample:\n  pgrid inspect echo");
    return own;
  }

  ExitCode run(Context& context) override {
    const auto process = context.api.call({.path = "/v1/processes/" + path_part(name_)});
    if (!process) return context.report(process.error());
    if (context.printer.json()) {
      context.printer.print(*process);
      return ExitCode::ok;
    }
    const auto& p = *process;
    const auto line = [&](const std::string& label, const std::string& value) {
      context.printer.say(label + std::string(label.size() < 16 ? 16 - label.size() : 1, ' ') + value);
    };
    line("name", text_of(p, "name"));
    line("state", state_text(p));
    line("cid", text_of(p, "cid"));
    line("process", text_of(p, "process") + " on worker " + text_of(p, "worker"));
    line("module", config::size_text(number_of(p, "module_bytes")));
    if (const auto verdict = p.find("verdict"); verdict != p.end() && verdict->is_object())
      for (const auto& [label, value] : termination_lines(*verdict)) line(label, value);
    line("memory", config::size_text(number_of(p, "memory_bytes")));
    line("time limit", config::duration_text(number_of(p, "time_limit_us")) + " of CPU time per message");
    line("rate", number_of(p, "rate") == 0 ? "no limit" : grouped(number_of(p, "rate")) + " messages/s");
    line("deployed", date_text(number_of(p, "deployed_unix")) + " UTC");
    line("supervision", supervision_text(p));
    line("restarts", restarts_text(p));
    line("violations", violations_text(p));
    line("messages", counts_text(p.value("counts", nlohmann::json::object())));
    const auto rights = p.value("rights", nlohmann::json::array());
    line("rights to it", rights.empty() ? "none; create one: pgrid cap create " + name_ + context.node_option() : "");
    if (!rights.empty()) context.printer.print(rights_table(rights, false));
    const auto grants = p.value("grants", nlohmann::json::array());
    if (!grants.empty()) {
      line("rights it holds", "");
      context.printer.print(rights_table(grants, false));
    }
    return ExitCode::ok;
  }

 private:
  std::string name_;
};

}  // namespace

std::unique_ptr<Command> make_inspect() { return std::make_unique<Inspect>(); }

}  // namespace pgrid::tools
