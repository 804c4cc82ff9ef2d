#include "tools/pgrid/printer.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <ostream>

namespace pgrid::tools {
namespace {

/// Columns that a text takes on a terminal, as far as UTF-8 tells: its code points.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string text_of_json(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);  // bytes that are no UTF-8: U+FFFD
}

struct CodeName {
  Errc code;
  const char* text;
  ExitCode exit;
};
constexpr CodeName kCodes[] = {
    {Errc::invalid_argument, "invalid_argument", ExitCode::usage},
    {Errc::not_found, "not_found", ExitCode::refused},
    {Errc::already_exists, "already_exists", ExitCode::refused},
    {Errc::busy, "busy", ExitCode::refused},
    {Errc::out_of_resources, "out_of_resources", ExitCode::refused},
    {Errc::not_permitted, "not_permitted", ExitCode::refused},
    {Errc::unavailable, "unavailable", ExitCode::refused},
    {Errc::timed_out, "timed_out", ExitCode::timed_out},
    {Errc::protocol, "protocol", ExitCode::refused},
    {Errc::corrupt, "corrupt", ExitCode::refused},
    {Errc::unsupported, "refused", ExitCode::refused},
    {Errc::io, "io", ExitCode::refused},
    {Errc::internal, "internal", ExitCode::refused},
};

}  // namespace

void Table::add(std::vector<std::string> cells) {
  cells.resize(headings_.size());
  rows_.push_back(std::move(cells));
}

void Table::print(std::ostream& out) const {
  std::vector<std::string> headings = headings_;
  std::vector<bool> right(headings.size());
  std::vector<std::size_t> widths(headings.size());
  for (std::size_t i = 0; i < headings.size(); ++i) {
    right[i] = headings[i].starts_with('>');
    if (right[i]) headings[i].erase(0, 1);
    widths[i] = width(headings[i]);
    for (const auto& row : rows_) widths[i] = std::max(widths[i], width(row[i]));
  }
  const auto print_row = [&](const std::vector<std::string>& row) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string pad(widths[i] - width(row[i]), ' ');
      line += (i == 0 ? "" : "  ") + (right[i] ? pad + row[i] : row[i] + pad);
    }
    while (line.ends_with(' ')) line.pop_back();
    out << line << '\n';
  };
  print_row(headings);
  for (const auto& row : rows_) print_row(row);
}

void Printer::say(const std::string& sentence) const {
  if (!json_) out_ << sentence << std::endl;
}

void Printer::print(const Table& table) const { table.print(out_); }

void Printer::print(const nlohmann::json& value) const {
  out_ << text_of_json(value) << std::endl;
}

ExitCode Printer::report(ExitCode code, const Error& error) const {
  if (json_)
    err_ << text_of_json({{"error", {{"code", code_text(error.code)}, {"message", error.sentence()}}}}) << std::endl;
  else
    err_ << program_ << ": " << error.sentence() << std::endl;
  return code;
}

std::string code_text(Errc code) {
  for (const CodeName& name : kCodes)
    if (name.code == code) return name.text;
  return "internal";
}

Errc code_from_text(const std::string& text) {
  for (const CodeName& name : kCodes)
    if (name.text == text) return name.code;
  return Errc::internal;
}

ExitCode exit_code_of(Errc code) {
  for (const CodeName& name : kCodes)
    if (name.code == code) return name.exit;
  return ExitCode::refused;
}

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

std::string nanoseconds(std::uint64_t ns) {
  struct Step {
    double factor;
    const char* unit;
  };
  constexpr Step steps[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}};
  char text[32];
  for (const Step& step : steps) {
    if (static_cast<double>(ns) < step.factor) continue;
    const double value = static_cast<double>(ns) / step.factor;
    std::snprintf(text, sizeof text, value < 10 ? "%.2f %s" : value < 100 ? "%.1f %s" : "%.0f %s", value, step.unit);
    return text;
  }
  return std::to_string(ns) + " ns";
}

std::string date_text(std::uint64_t unix_seconds) {
  if (unix_seconds == 0) return "-";
  const auto time = static_cast<std::time_t>(unix_seconds);
  std::tm parts{};
  if (::gmtime_r(&time, &parts) == nullptr) return std::to_string(unix_seconds);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

}  // namespace pgrid::tools
