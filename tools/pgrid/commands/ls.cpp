// pgrid ls: the processes of the node.
#include "drivers/config/units.hpp"
#include "tools/pgrid/command.hpp"
#include "tools/pgrid/commands/process_text.hpp"

namespace pgrid::tools {
namespace {

constexpr std::size_t kStateWidth = 60;  // characters: a reason may be a long sentence, which inspect shows whole

class Ls : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own = app.add_subcommand("ls", "List the processes of the node and what became of their messages.");
    own.footer("\nExample:\n  pgrid ls");
    return own;
  }

  ExitCode run(Context& context) override {
    const auto answer = context.api.call({.path = "/v1/processes"});
    if (!answer) return context.report(answer.error());
    if (context.printer.json()) {
      context.printer.print(*answer);
      return ExitCode::ok;
    }
    Table table({"NAME", "STATE", ">WORKER", ">MEMORY", ">TIME LIMIT", ">KEPT", ">BROKEN", ">DECLINED", ">RESTARTS", "CID"});
    for (const auto& process : answer->value("processes", nlohmann::json::array())) {
      const auto counts = process.value("counts", nlohmann::json::object());
      table.add({text_of(process, "name"), clipped(state_text(process), kStateWidth), text_of(process, "worker"),
                 config::size_text(number_of(process, "memory_bytes")),
                 config::duration_text(number_of(process, "time_limit_us")), grouped(number_of(counts, "kept")),
                 grouped(number_of(counts, "broken")), grouped(number_of(counts, "declined")),
                 grouped(number_of(process, "rebuilds")), text_of(process, "cid")});
    }
    if (table.empty())
      context.printer.say("no process yet; deploy one: pgrid deploy FILE.wasm" + context.node_option());
    else
      context.printer.print(table);
    return ExitCode::ok;
  }
};

}  // namespace

std::unique_ptr<Command> make_ls() { return std::make_unique<Ls>(); }

}  // namespace pgrid::tools
