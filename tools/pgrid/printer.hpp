// What every command writes: tables and sentences for people, JSON for programs.
#pragma once

#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "drivers/base/result.hpp"
#include "tools/pgrid/exit_code.hpp"

namespace pgrid::tools {

/// Rows under headings, columns as wide as their widest cell. A heading that begins with '>' is aligned to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> headings) : headings_(std::move(headings)) {}
  void add(std::vector<std::string> cells);
  void print(std::ostream& out) const;
  [[nodiscard]] bool empty() const { return rows_.empty(); }

 private:
  std::vector<std::string> headings_;
  std::vector<std::vector<std::string>> rows_;
};

/// Where a command writes, and how. Borrowed by every command.
class Printer {
 public:
  Printer(std::ostream& out, std::ostream& err, bool json, std::string program = "pgrid")
      : out_(out), err_(err), json_(json), program_(std::move(program)) {}

  [[nodiscard]] bool json() const { return json_; }
  [[nodiscard]] std::ostream& out() const { return out_; }
  [[nodiscard]] std::ostream& err() const { return err_; }

  /// A sentence for people; nothing with --json.
  void say(const std::string& sentence) const;
  void print(const Table& table) const;
  void print(const nlohmann::json& value) const;

  /// Says on stderr what went wrong, as a sentence or as {"error": {code, message}}, and gives back `code`.
  ExitCode report(ExitCode code, const Error& error) const;

 private:
  std::ostream& out_;
  std::ostream& err_;
  bool json_;
  std::string program_;  // goes before every error
};

/// The word that docs/API.md and --json use for a kind of failure, and back.
[[nodiscard]] std::string code_text(Errc code);
[[nodiscard]] Errc code_from_text(const std::string& text);

/// The exit code that a kind of failure gets when nothing better is known.
[[nodiscard]] ExitCode exit_code_of(Errc code);

/// "1,234,567"; "12.3 ms", "830 ns"; "2026-11-21 12:00:00" (UTC), "-" for 0.
[[nodiscard]] std::string grouped(std::uint64_t number);
[[nodiscard]] std::string nanoseconds(std::uint64_t ns);
[[nodiscard]] std::string date_text(std::uint64_t unix_seconds);

}  // namespace pgrid::tools
