// pgrid log verify: reads the whole log of a state directory and checks everything that can be checked.
#include "control/ledger/snapshot.hpp"
#include "control/store/fold.hpp"
#include "control/store/log_changes.hpp"
#include "drivers/config/node_config.hpp"
#include "tools/pgrid/command.hpp"

namespace pgrid::tools {
namespace {

class LogVerify : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own = app.add_subcommand(
        "verify",
        "Read the whole log of the node and check it: every record's checksum, the chain of hashes, the "
        "snapshot. The "
        "node need not run. Exit status 1 names the first record that is not what was written.");
    own.footer("\nExample:\n  pgrid log verify");
    return own;
  }

  ExitCode run(Context& context) override {
    const std::filesystem::path log = control::log_directory(config::state_directory(context.node_dir));
    if (!std::filesystem::is_directory(log))
      return context.printer.report(ExitCode::refused,
                                    {Errc::not_found, "verify " + log.string(), "there is no log",
                                     "give the node's directory with --node, or run it first"});
    std::vector<std::string> remarks;
    const std::optional<control::Snapshot> snapshot = control::newest_snapshot(log, remarks);
    control::State state;
    hash::Sha256 hash;
    std::uint64_t changes = 0;
    const Result<control::LogEnd> end =
        control::read_log(log, {}, [&](const control::LogRecord& record) -> Result<void> {
          const Result<std::vector<control::Change>> decoded = control::decode_changes(record.payload);
          if (!decoded) return std::unexpected(decoded.error());
          for (const control::Change& change : *decoded) state.apply(change);
          changes += decoded->size();
          if (snapshot && record.sequence == snapshot->point.sequence &&
              control::encode_changes(state.as_changes()) != snapshot->payload)
            return fail(Errc::corrupt, "the snapshot of it", "is not what the log comes to",
                        "remove it: it can be made again");
          return {};
        });
    if (!end) return context.printer.report(ExitCode::refused, end.error());
    for (const std::string& remark : remarks)
      context.printer.say("a snapshot is damaged and not used: " + remark);
    if (context.printer.json()) {
      context.printer.print(nlohmann::json{{"records", end->point.sequence},
                                           {"changes", changes},
                                           {"torn_bytes", end->torn_bytes},
                                           {"processes", state.processes().size()},
                                           {"rights", state.rights().size()},
                                           {"snapshot", snapshot ? snapshot->point.sequence : 0},
                                           {"damaged_snapshots", remarks}});
      return ExitCode::ok;
    }
    context.printer.say("the log is whole: " + grouped(end->point.sequence) + " records, " +
                        grouped(changes) + " changes, " + grouped(state.processes().size()) +
                        " processes and " + grouped(state.rights().size()) + " rights now");
    if (end->torn_bytes != 0)
      context.printer.say(grouped(end->torn_bytes) +
                          " bytes behind it are of a write that was not acknowledged, or is under way; the "
                          "next start cuts them off");
    return ExitCode::ok;
  }
};

}  // namespace

std::unique_ptr<Command> make_log_verify() { return std::make_unique<LogVerify>(); }

}  // namespace pgrid::tools
