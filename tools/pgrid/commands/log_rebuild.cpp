// pgrid log rebuild: makes the views of a log again.
#include "control/history/views.hpp"
#include "control/ledger/cursor.hpp"
#include "control/store/files.hpp"
#include "control/store/fold.hpp"
#include "drivers/config/node_config.hpp"
#include "tools/pgrid/command.hpp"

namespace pgrid::tools {
namespace {

constexpr std::uint64_t kRecordsAtOnce = 4096;  // in one transaction

Result<std::uint64_t> rebuild(const std::filesystem::path& state) {
  const Result<UniqueFd> lock = control::lock_file(state / "lock");
  if (!lock) {
    Error error = lock.error();
    if (error.code == Errc::busy)
      error = {Errc::busy, "make the views of the log again", "the node is running",
               "stop it first; a running node makes views that are missing by itself"};
    return std::unexpected(std::move(error));
  }
  Result<control::LogCursor> cursor = control::LogCursor::open(control::log_directory(state), {});
  if (!cursor) return std::unexpected(cursor.error());
  const std::filesystem::path path = control::views_path(state);
  control::remove_views(path);
  Result<std::unique_ptr<control::Views>> views = control::Views::open(path);
  if (!views) return std::unexpected(views.error());
  for (;;) {
    const Result<std::optional<control::LogRecord>> record = cursor->next();
    if (!record) return std::unexpected(record.error());
    if (*record)
      if (Result<void> added = (*views)->add(**record, cursor->point().hash); !added)
        return std::unexpected(added.error());
    if (!*record || (*record)->sequence % kRecordsAtOnce == 0)
      if (Result<void> flushed = (*views)->flush(); !flushed) return std::unexpected(flushed.error());
    if (!*record) return cursor->point().sequence;
  }
}

class LogRebuild : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own =
        app.add_subcommand("rebuild",
                           "Make the views of the log (views.sqlite) again. The node must not run; a running "
                           "one makes missing views by itself.");
    own.footer("\nExample:\n  pgrid log rebuild");
    return own;
  }
  ExitCode run(Context& context) override {
    const std::filesystem::path state = config::state_directory(context.node_dir);
    if (!std::filesystem::is_directory(control::log_directory(state)))
      return context.printer.report(
          ExitCode::refused, {Errc::not_found, "read " + control::log_directory(state).string(),
                              "there is no log", "give the node's directory with --node, or run it first"});
    const Result<std::uint64_t> records = rebuild(state);
    if (!records) return context.printer.report(ExitCode::refused, records.error());
    if (context.printer.json())
      context.printer.print(
          nlohmann::json{{"records", *records}, {"views", control::views_path(state).string()}});
    context.printer.say("made " + control::views_path(state).string() + " of " + grouped(*records) +
                        " records");
    return ExitCode::ok;
  }
};

}  // namespace

std::unique_ptr<Command> make_log_rebuild() { return std::make_unique<LogRebuild>(); }

}  // namespace pgrid::tools
