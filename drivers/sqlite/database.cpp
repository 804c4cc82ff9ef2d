#include "drivers/sqlite/database.hpp"

#include <sqlite3.h>
#include <sys/stat.h>

namespace pgrid::sqlite {
namespace {

std::unexpected<Error> failed(sqlite3* database, std::string operation) {
  const int code = sqlite3_errcode(database);
  Errc kind = Errc::io;
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_SCHEMA:
      kind = Errc::corrupt;
      break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      kind = Errc::busy;
      break;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      kind = Errc::out_of_resources;
      break;
    case SQLITE_CANTOPEN:
      kind = Errc::not_found;
      break;
    case SQLITE_ERROR:
    case SQLITE_MISUSE:
      kind = Errc::internal;
      break;
    default:
      break;
  }
  return fail(kind, std::move(operation), sqlite3_errmsg(database));
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
void Database::Close::operator()(sqlite3* database) const { sqlite3_close(database); }

// What binding can fail of is a number that is none of the statement's, which shows at once in tests.
Statement& Statement::bind(int parameter, std::uint64_t value) {
  (void)sqlite3_bind_int64(statement_.get(), parameter, static_cast<sqlite3_int64>(value));
  return *this;
}
Statement& Statement::bind(int parameter, std::string_view text) {
  (void)sqlite3_bind_text64(statement_.get(), parameter, text.data(), text.size(), SQLITE_TRANSIENT,
                            SQLITE_UTF8);
  return *this;
}
Statement& Statement::bind(int parameter, std::span<const std::uint8_t> bytes) {
  (void)sqlite3_bind_blob64(statement_.get(), parameter, bytes.data(), bytes.size(), SQLITE_TRANSIENT);
  return *this;
}
Statement& Statement::bind_null(int parameter) {
  (void)sqlite3_bind_null(statement_.get(), parameter);
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) {
    auto error = failed(sqlite3_db_handle(statement_.get()), sqlite3_sql(statement_.get()));
    reset();
    return error;
  }
  reset();
  return false;
}

Result<void> Statement::run() {
  const Result<bool> row = step();
  if (!row) return std::unexpected(row.error());
  if (*row) reset();
  return {};
}

void Statement::reset() { (void)sqlite3_reset(statement_.get()); }

std::uint64_t Statement::number(int column) const {
  return static_cast<std::uint64_t>(sqlite3_column_int64(statement_.get(), column));
}
std::string Statement::text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  return text == nullptr
             ? std::string()
             : std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column)));
}
bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

Result<Database> Database::open(const std::filesystem::path& path, Mode mode) {
  sqlite3* opened = nullptr;
  const int flags =
      mode == Mode::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const int code = sqlite3_open_v2(path.c_str(), &opened, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(opened);
  const std::string operation = "open " + path.string();
  if (opened == nullptr) return fail(Errc::out_of_resources, operation, "no memory");
  if (code != SQLITE_OK) return failed(opened, operation);
  if (mode == Mode::read_write) (void)::chmod(path.c_str(), 0600);
  (void)sqlite3_busy_timeout(opened, 1000);  // ms; somebody reads it with another program
  return database;
}

Result<void> Database::run(const std::string& sql) {
  if (sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return failed(database_.get(), sql);
  return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return failed(database_.get(), "prepare " + std::string(sql));
  return Statement(statement);
}

}  // namespace pgrid::sqlite
