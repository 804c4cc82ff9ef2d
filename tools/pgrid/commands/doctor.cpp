// pgrid doctor: what this machine lacks for a node, and the command that mends it.
#include <algorithm>

#include "tools/pgrid/command.hpp"
#include "tools/pgrid/doctor/findings.hpp"

namespace pgrid::tools {
namespace {

const char* word(Level level) {
  return level == Level::fine ? "ok" : level == Level::advice ? "warning" : "missing";
}

class Doctor : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own = app.add_subcommand("doctor", "Tell what this machine lacks for a node, and the command that mends it.");
    own.footer("\nExample:\n  sudo pgrid doctor\nExit status 0 when a node on a tap: port can run here, else 1.");
    return own;
  }

  ExitCode run(Context& context) override {
    const auto findings = examine(Machine{}, context.run_dir);
    const bool can_run =
        std::none_of(findings.begin(), findings.end(), [](const Finding& f) { return f.level == Level::missing; });
    if (context.printer.json()) {
      nlohmann::json list = nlohmann::json::array();
      for (const Finding& f : findings)
        list.push_back({{"subject", f.subject}, {"level", word(f.level)}, {"text", f.text}, {"mend", f.mend}});
      context.printer.print(nlohmann::json{{"can_run", can_run}, {"findings", list}});
      return can_run ? ExitCode::ok : ExitCode::refused;
    }
    for (const Finding& f : findings) {
      std::string line = std::string(word(f.level)) + std::string(9 - std::string(word(f.level)).size(), ' ') + f.subject;
      line += std::string(line.size() < 27 ? 27 - line.size() : 1, ' ') + f.text;
      context.printer.say(line);
      if (!f.mend.empty()) context.printer.say(std::string(27, ' ') + "-> " + f.mend);
    }
    context.printer.say(can_run ? "a node on a tap: port can run here: pgrid up --config node.toml" + context.node_option()
                                : "a node can not run here yet: see what is missing above");
    return can_run ? ExitCode::ok : ExitCode::refused;
  }
};

}  // namespace

std::unique_ptr<Command> make_doctor() { return std::make_unique<Doctor>(); }

}  // namespace pgrid::tools
