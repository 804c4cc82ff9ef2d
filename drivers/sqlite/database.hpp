// SQLite (https://www.sqlite.org/c3ref/intro.html) as owned handles.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "drivers/base/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace pgrid::sqlite {

/// A prepared statement. Parameters are numbered from 1, columns from 0. Goes before its database.
class Statement {
 public:
  Statement& bind(int parameter,
                  std::uint64_t value);  // kept as 64 bits with a sign: above 2^63 it reads as negative there
  Statement& bind(int parameter, std::string_view text);                // copied
  Statement& bind(int parameter, std::span<const std::uint8_t> bytes);  // copied
  Statement& bind_null(int parameter);

  /// To the next row; false: there is none, and parameters may be bound anew.
  [[nodiscard]] Result<bool> step();
  /// A statement that gives no rows.
  [[nodiscard]] Result<void> run();
  /// As if it had not been stepped.
  void reset();

  [[nodiscard]] std::uint64_t number(int column) const;
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] bool is_null(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

/// Owned by one thread.
class Database {
 public:
  enum class Mode { read_only, read_write };
  /// Made when it is not there (mode 0600 of the directory's owner) and may be written.
  [[nodiscard]] static Result<Database> open(const std::filesystem::path& path, Mode mode);

  /// One or several statements without parameters and rows.
  [[nodiscard]] Result<void> run(const std::string& sql);
  [[nodiscard]] Result<Statement> prepare(std::string_view sql);

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  explicit Database(sqlite3* database) : database_(database) {}
  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace pgrid::sqlite
