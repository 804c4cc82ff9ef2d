#include "control/history/views.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <system_error>

#include "control/history/tables.hpp"
#include "control/store/log_changes.hpp"

namespace pgrid::control {
namespace {

std::string right_text(const RightRecord& right) {
  std::string text = "label " + std::to_string(right.label);
  if (right.parent)
    text += ", from " + std::to_string(right.parent->slot) + "." + std::to_string(right.parent->generation);
  if (!right.name.empty()) text += ", named " + right.name;
  if (right.holding) text += ", held under \"" + right.holding->name + "\"";
  if (!right.token.empty()) text += ", token " + right.token;
  return text;
}

const char* what_of(const RightRecord& right) {
  if (!right.token.empty()) return "right_redeemed";
  if (right.holding) return "right_granted";
  return right.parent ? "right_derived" : "right_created";
}

}  // namespace

struct Views::Statements {
  sqlite::Statement put_process, drop_process, process, put_right, drop_right, right, put_event, put_about,
      put_point, put_named;
};

std::filesystem::path views_path(const std::filesystem::path& state_directory) {
  return state_directory / "views.sqlite";
}

void remove_views(const std::filesystem::path& path) {
  std::error_code ignored;
  for (const char* ending : {"", "-wal", "-shm", "-journal"})
    std::filesystem::remove(path.string() + ending, ignored);
}

Views::Views(sqlite::Database database, LogPoint point) : database_(std::move(database)), point_(point) {}
Views::~Views() = default;

Result<std::unique_ptr<Views>> Views::open(const std::filesystem::path& path) {
  Result<sqlite::Database> database = sqlite::Database::open(path, sqlite::Database::Mode::read_write);
  if (!database) return std::unexpected(database.error());
  // They can be made again, so nothing waits for the disk.
  for (const char* sql : {"PRAGMA journal_mode=WAL", "PRAGMA synchronous=OFF", tables::kMake})
    if (Result<void> done = database->run(sql); !done) return std::unexpected(done.error());
  Result<LogPoint> point = tables::check(*database);
  if (!point) return std::unexpected(point.error());
  std::unique_ptr<Views> views(new Views(std::move(*database), *point));
  if (Result<void> prepared = views->prepare(); !prepared) return std::unexpected(prepared.error());
  return views;
}

Result<std::unique_ptr<Views>> Views::open_to_read(const std::filesystem::path& path) {
  Result<sqlite::Database> database = sqlite::Database::open(path, sqlite::Database::Mode::read_only);
  if (!database) return std::unexpected(database.error());
  return std::unique_ptr<Views>(new Views(std::move(*database), {}));
}

Result<void> Views::prepare() {
  std::optional<Error> error;
  const auto one = [&](const char* sql) -> std::optional<sqlite::Statement> {
    Result<sqlite::Statement> statement = database_.prepare(sql);
    if (statement) return std::move(*statement);
    if (!error) error = statement.error();
    return std::nullopt;
  };
  auto put_process = one(tables::kPutProcess), drop_process = one(tables::kDropProcess),
       process = one(tables::kProcess);
  auto put_right = one(tables::kPutRight), drop_right = one(tables::kDropRight), right = one(tables::kRight);
  auto put_event = one(tables::kPutEvent), put_about = one(tables::kPutAbout),
       put_point = one(tables::kPutPoint);
  auto put_named = one(tables::kPutNamed);
  if (error) {
    error->code = Errc::corrupt;  // a table is not what it was
    return std::unexpected(*error);
  }
  statements_ = std::make_unique<Statements>(
      Statements{std::move(*put_process), std::move(*drop_process), std::move(*process),
                 std::move(*put_right), std::move(*drop_right), std::move(*right), std::move(*put_event),
                 std::move(*put_about), std::move(*put_point), std::move(*put_named)});
  return {};
}

Result<void> Views::add(const LogRecord& record, const LogHash& hash) {
  const Result<std::vector<Change>> changes = decode_changes(record.payload);
  if (!changes) return std::unexpected(changes.error());
  if (!in_transaction_) {
    if (Result<void> begun = database_.run("BEGIN IMMEDIATE"); !begun) return begun;
    in_transaction_ = true;
  }
  for (const Change& change : *changes)
    if (Result<void> added = add_change(change, record); !added) return added;
  point_ = {record.sequence, hash};
  return {};
}

Result<void> Views::flush() {
  if (!in_transaction_) return {};
  statements_->put_point.bind(1, point_.sequence).bind(2, std::span<const std::uint8_t>(point_.hash));
  if (Result<void> put = statements_->put_point.run(); !put) return put;
  in_transaction_ = false;
  return database_.run("COMMIT");
}

Result<void> Views::add_event(const Event& event, std::vector<ProcessKey> about) {
  sqlite::Statement& put = statements_->put_event;
  put.bind(1, event.sequence)
      .bind(2, event.time_unix_ns)
      .bind(3, event.what)
      .bind(4, event.process)
      .bind(5, event.generation);
  std::string name = event.name;
  if (name.empty() && event.generation != 0) {
    sqlite::Statement& process = statements_->process;
    const Result<bool> found = process.bind(1, event.process).step();
    if (!found) return std::unexpected(found.error());
    if (*found) {
      if (process.number(0) == event.generation) name = process.text(1);
      process.reset();
    }
  }
  put.bind(6, name).bind(7, event.slot).bind(8, event.right_generation).bind(9, event.text);
  const Result<bool> made = put.step();
  if (!made) return std::unexpected(made.error());
  const std::uint64_t number = put.number(0);
  put.reset();
  if (event.generation != 0) about.insert(about.begin(), {event.process, event.generation});
  for (std::size_t i = 0; i < about.size(); ++i) {
    const auto is_same = [&](const ProcessKey& one) {
      return one.process == about[i].process && one.generation == about[i].generation;
    };
    if (about[i].generation == 0 ||
        std::find_if(about.begin(), about.begin() + static_cast<std::ptrdiff_t>(i), is_same) !=
            about.begin() + static_cast<std::ptrdiff_t>(i))
      continue;
    statements_->put_about.bind(1, about[i].process).bind(2, about[i].generation).bind(3, number);
    if (Result<void> put_about = statements_->put_about.run(); !put_about) return put_about;
  }
  return {};
}

Result<void> Views::add_change(const Change& change, const LogRecord& record) {
  Event event{.sequence = record.sequence, .time_unix_ns = record.time_unix_ns};
  if (const auto* process = std::get_if<ProcessRecord>(&change)) {
    sqlite::Statement& before = statements_->process;
    const Result<bool> found = before.bind(1, process->index).step();
    if (!found) return std::unexpected(found.error());
    const bool is_new = !*found || before.number(0) != process->generation;
    const std::string gave_up = is_new ? "" : before.text(2);
    const bool has_moved = !is_new && before.number(3) != process->worker;
    if (*found) before.reset();
    event.process = process->index;
    event.generation = process->generation;
    event.name = process->name;
    if (is_new) {
      event.what = "deployed";
      event.text = process->cid;
      statements_->put_named.bind(1, process->index).bind(2, process->generation).bind(3, process->name);
      if (Result<void> named = statements_->put_named.run(); !named) return named;
    } else if (process->gave_up != gave_up) {
      event.what = process->gave_up.empty() ? "came_back" : "gave_up";
      event.text = process->gave_up;
    } else if (has_moved) {
      event.what = "moved";
      event.text = "to worker " + std::to_string(process->worker);
    } else {
      event.what = "changed";
    }
    if (Result<void> put = tables::put_process(statements_->put_process, *process); !put) return put;
    return add_event(event, {});
  }
  if (const auto* drop = std::get_if<DropProcess>(&change)) {
    sqlite::Statement& before = statements_->process;
    const Result<bool> found = before.bind(1, drop->index).step();
    if (!found) return std::unexpected(found.error());
    if (!*found) return {};
    event.what = "removed";
    event.process = drop->index;
    event.generation = static_cast<std::uint32_t>(before.number(0));
    event.name = before.text(1);
    before.reset();
    if (Result<void> dropped = statements_->drop_process.bind(1, drop->index).run(); !dropped) return dropped;
    return add_event(event, {});
  }
  if (const auto* right = std::get_if<RightRecord>(&change)) {
    sqlite::Statement& target = statements_->process;
    const Result<bool> found = target.bind(1, right->process).step();
    if (!found) return std::unexpected(found.error());
    event.what = what_of(*right);
    event.process = right->process;
    if (*found) {
      event.generation = static_cast<std::uint32_t>(target.number(0));
      event.name = target.text(1);
      target.reset();
    }
    event.slot = right->slot;
    event.right_generation = right->generation;
    event.text = right_text(*right);
    if (Result<void> put = tables::put_right(statements_->put_right, *right, event.generation); !put)
      return put;
    std::vector<ProcessKey> about;
    if (right->holding) about.push_back({right->holding->process, right->holding->generation});
    if (right->maker) about.push_back({right->maker->process, right->maker->generation});
    return add_event(event, std::move(about));
  }
  if (const auto* drop = std::get_if<DropRight>(&change)) {
    sqlite::Statement& right = statements_->right;
    const Result<bool> found = right.bind(1, drop->slot).step();
    if (!found) return std::unexpected(found.error());
    if (!*found) return {};
    const auto number = [&](int column) { return static_cast<std::uint32_t>(right.number(column)); };
    event.what = "right_revoked";
    event.slot = drop->slot;
    event.right_generation = number(0);
    event.process = number(1);
    event.generation = number(2);
    std::vector<ProcessKey> about{{number(3), number(4)}, {number(5), number(6)}};
    right.reset();
    if (Result<void> dropped = statements_->drop_right.bind(1, drop->slot).run(); !dropped) return dropped;
    return add_event(event, std::move(about));
  }
  if (const auto* happened = std::get_if<Happened>(&change)) {
    event.what = happened->what;
    event.process = happened->process;
    event.generation = happened->generation;
    event.text = happened->text;
    return add_event(event, {});
  }
  if (const auto* token = std::get_if<IssuedToken>(&change)) {
    event.what = "token_issued";
    event.process = token->process;
    event.generation = token->generation;
    event.slot = token->right.slot;
    event.right_generation = token->right.generation;
    event.text = "to " + token->audience;
    return add_event(event, {});
  }
  if (std::get_if<RevokedToken>(&change) != nullptr) {
    event.what = "token_revoked";
    return add_event(event, {});
  }
  return {};  // what is free, who advertises and who watches is nobody's history
}

Result<std::vector<Event>> Views::events(const EventQuery& query) {
  std::string sql =
      "SELECT number, sequence, time_unix_ns, what, process, generation, name, slot, right_generation, text "
      "FROM events";
  if (query.process)
    sql +=
        " WHERE number IN (SELECT number FROM about WHERE process = ?3 AND generation = ?4 AND number > ?1";
  else if (!query.name.empty())
    sql +=
        " WHERE number IN (SELECT a.number FROM about a JOIN named n ON n.process = a.process AND "
        "n.generation = a.generation"
        " WHERE n.name = ?5 AND a.number > ?1";
  else
    sql += " WHERE (number > ?1";
  sql += std::string(") ORDER BY number ") + (query.newest ? "DESC" : "ASC") + " LIMIT ?2";
  Result<sqlite::Statement> select = database_.prepare(sql);
  if (!select) return std::unexpected(select.error());
  select->bind(1, query.after).bind(2, query.limit);
  if (query.process) select->bind(3, query.process->process).bind(4, query.process->generation);
  if (!query.process && !query.name.empty()) select->bind(5, query.name);
  std::vector<Event> events;
  for (;;) {
    const Result<bool> row = select->step();
    if (!row) return std::unexpected(row.error());
    if (!*row) break;
    const auto number = [&](int column) { return static_cast<std::uint32_t>(select->number(column)); };
    events.push_back({.number = select->number(0),
                      .sequence = select->number(1),
                      .time_unix_ns = select->number(2),
                      .what = select->text(3),
                      .process = number(4),
                      .generation = number(5),
                      .name = select->text(6),
                      .slot = number(7),
                      .right_generation = number(8),
                      .text = select->text(9)});
  }
  if (query.newest) std::reverse(events.begin(), events.end());
  return events;
}

}  // namespace pgrid::control
