// The log as tables (SQLite): processes, rights, and events. Made from the log alone, and made again whenever
// they are missing, older than this program, or not what was written; nothing else depends on them. Keys of
// rights are not in there.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "control/history/event.hpp"
#include "control/ledger/record.hpp"
#include "drivers/base/result.hpp"
#include "drivers/sqlite/database.hpp"

namespace pgrid::control {

/// Where they are in a state directory.
[[nodiscard]] std::filesystem::path views_path(const std::filesystem::path& state_directory);
/// Takes them away, with what SQLite keeps beside them.
void remove_views(const std::filesystem::path& path);

/// Owned by one thread.
class Views {
 public:
  /// Opens or makes them. corrupt: they must be removed and made again.
  [[nodiscard]] static Result<std::unique_ptr<Views>> open(const std::filesystem::path& path);
  /// To look only. not_found when there are none.
  [[nodiscard]] static Result<std::unique_ptr<Views>> open_to_read(const std::filesystem::path& path);
  ~Views();

  /// Up to where they go. What was added since `flush` is in there only when the next `flush` succeeds.
  [[nodiscard]] const LogPoint& point() const { return point_; }

  /// The next record, whose hash is `hash`.
  [[nodiscard]] Result<void> add(const LogRecord& record, const LogHash& hash);
  [[nodiscard]] Result<void> flush();

  [[nodiscard]] Result<std::vector<Event>> events(const EventQuery& query);

 private:
  struct Statements;
  Views(sqlite::Database database, LogPoint point);
  [[nodiscard]] Result<void> prepare();
  [[nodiscard]] Result<void> add_change(const Change& change, const LogRecord& record);
  [[nodiscard]] Result<void> add_event(const Event& event, std::vector<ProcessKey> about);

  sqlite::Database database_;
  LogPoint point_;
  bool in_transaction_ = false;
  std::unique_ptr<Statements> statements_;  // goes before the database
};

}  // namespace pgrid::control
