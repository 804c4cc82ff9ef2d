// The tables of the views, and how a record becomes a row. Another shape gets another kVersion: views of an
// older one are made again.
#pragma once

#include "control/ledger/record.hpp"
#include "control/store/state.hpp"
#include "drivers/base/result.hpp"
#include "drivers/sqlite/database.hpp"

namespace pgrid::control::tables {

inline constexpr std::uint64_t kVersion = 1;

inline constexpr char kMake[] = R"(
CREATE TABLE IF NOT EXISTS point (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER, sequence INTEGER, hash BLOB);
CREATE TABLE IF NOT EXISTS processes (
  process INTEGER PRIMARY KEY, generation INTEGER, name TEXT, cid TEXT, worker INTEGER, memory_bytes INTEGER,
  time_limit_us INTEGER, rate INTEGER, deployed_unix INTEGER, gave_up TEXT, verdict TEXT);
CREATE TABLE IF NOT EXISTS named (process INTEGER, generation INTEGER, name TEXT, PRIMARY KEY (process, generation)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS named_by_name ON named (name);
CREATE TABLE IF NOT EXISTS rights (
  slot INTEGER PRIMARY KEY, generation INTEGER, process INTEGER, process_generation INTEGER, label TEXT,
  expires_unix_ns INTEGER, created_unix INTEGER, internal INTEGER, permissions INTEGER, name TEXT, token TEXT,
  parent_slot INTEGER, parent_generation INTEGER, holder INTEGER, holder_generation INTEGER, handle INTEGER, holder_name TEXT,
  maker INTEGER, maker_generation INTEGER);
CREATE TABLE IF NOT EXISTS events (
  number INTEGER PRIMARY KEY, sequence INTEGER, time_unix_ns INTEGER, what TEXT, process INTEGER, generation INTEGER,
  name TEXT, slot INTEGER, right_generation INTEGER, text TEXT);
CREATE TABLE IF NOT EXISTS about (
  process INTEGER, generation INTEGER, number INTEGER, PRIMARY KEY (process, generation, number)) WITHOUT ROWID;
)";

inline constexpr char kPutProcess[] =
    "INSERT OR REPLACE INTO processes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
inline constexpr char kPutNamed[] = "INSERT OR IGNORE INTO named VALUES (?1, ?2, ?3)";
inline constexpr char kDropProcess[] = "DELETE FROM processes WHERE process = ?1";
inline constexpr char kProcess[] =
    "SELECT generation, name, gave_up, worker FROM processes WHERE process = ?1";
inline constexpr char kPutRight[] =
    "INSERT OR REPLACE INTO rights VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, "
    "?16, ?17, ?18, ?19)";
inline constexpr char kDropRight[] = "DELETE FROM rights WHERE slot = ?1";
inline constexpr char kRight[] =
    "SELECT generation, process, process_generation, holder, holder_generation, maker, maker_generation FROM "
    "rights WHERE slot = ?1";
inline constexpr char kPutEvent[] =
    "INSERT INTO events (sequence, time_unix_ns, what, process, generation, name, slot, right_generation, "
    "text) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) RETURNING number";
inline constexpr char kPutAbout[] = "INSERT OR IGNORE INTO about VALUES (?1, ?2, ?3)";
inline constexpr char kPutPoint[] = "UPDATE point SET sequence = ?1, hash = ?2";

/// Up to where the views go. corrupt: they are of another version, or damaged.
[[nodiscard]] Result<LogPoint> check(sqlite::Database& database);

[[nodiscard]] Result<void> put_process(sqlite::Statement& put, const ProcessRecord& process);
[[nodiscard]] Result<void> put_right(sqlite::Statement& put, const RightRecord& right,
                                     std::uint32_t process_generation);

}  // namespace pgrid::control::tables
