#include "control/history/tables.hpp"

#include <algorithm>

namespace pgrid::control::tables {

Result<LogPoint> check(sqlite::Database& database) {
  const std::string operation = "open the views of the log";
  Result<sqlite::Statement> whole = database.prepare("PRAGMA quick_check(1)");
  if (!whole) return std::unexpected(whole.error());
  const Result<bool> checked = whole->step();
  if (!checked) return std::unexpected(checked.error());
  if (*checked && whole->text(0) != "ok") return fail(Errc::corrupt, operation, whole->text(0));
  whole->reset();
  if (Result<void> made = database.run("INSERT OR IGNORE INTO point VALUES (1, " + std::to_string(kVersion) +
                                       ", 0, zeroblob(32))");
      !made)
    return std::unexpected(made.error());
  Result<sqlite::Statement> select = database.prepare("SELECT version, sequence, hex(hash) FROM point");
  if (!select) return std::unexpected(select.error());
  const Result<bool> row = select->step();
  if (!row) return std::unexpected(row.error());
  LogPoint point;
  const std::string hex = *row ? select->text(2) : "";
  if (!*row || select->number(0) != kVersion || hex.size() != 2 * point.hash.size())
    return fail(Errc::corrupt, operation, "they are of another version");
  point.sequence = select->number(1);
  for (std::size_t i = 0; i < point.hash.size(); ++i)
    point.hash[i] = static_cast<std::uint8_t>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
  return point;
}

Result<void> put_process(sqlite::Statement& put, const ProcessRecord& process) {
  put.bind(1, process.index)
      .bind(2, process.generation)
      .bind(3, process.name)
      .bind(4, process.cid)
      .bind(5, process.worker);
  put.bind(6, process.memory_bytes).bind(7, process.time_limit_us).bind(8, process.rate);
  put.bind(9, static_cast<std::uint64_t>(process.deployed_unix))
      .bind(10, process.gave_up)
      .bind(11, process.verdict);
  return put.run();
}

Result<void> put_right(sqlite::Statement& put, const RightRecord& right, std::uint32_t process_generation) {
  put.bind(1, right.slot).bind(2, right.generation).bind(3, right.process).bind(4, process_generation);
  put.bind(5, std::to_string(right.label)).bind(6, right.expires_unix_ns);
  put.bind(7, static_cast<std::uint64_t>(right.created_unix))
      .bind(8, std::uint64_t{right.internal})
      .bind(9, right.permissions);
  put.bind(10, right.name).bind(11, right.token);
  for (int parameter = 12; parameter <= 19; ++parameter) put.bind_null(parameter);
  if (right.parent) put.bind(12, right.parent->slot).bind(13, right.parent->generation);
  if (right.holding) {
    put.bind(14, right.holding->process).bind(15, right.holding->generation);
    put.bind(16, right.holding->handle).bind(17, right.holding->name);
  }
  if (right.maker) put.bind(18, right.maker->process).bind(19, right.maker->generation);
  return put.run();
}

}  // namespace pgrid::control::tables
