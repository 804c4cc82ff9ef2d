// What a command takes on its command line. CLI11 does the work, behind one file: to include it in each command took the compiler
// 12 s of the command's 15 (Clang 19 with sanitizers), 6 of 8 (GCC 12).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace pgrid::tools {

/// An option or an argument, to be told more about. A reference to CLI11's, which lives as long as the command line.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  const Option& required() const;
  /// The word that stands for the value in help, as in "FILE".
  const Option& type_name(const std::string& word) const;
  /// Other values are refused.
  const Option& one_of(std::vector<std::string> words) const;
  const Option& excludes(const Option& other) const;
  /// Of a list: with false, one value after each time that the option is given.
  const Option& allow_extra_args(bool several) const;
  /// What the variable holds is shown in help.
  const Option& show_default() const;

 private:
  CLI::Option* option_;
};

/// A command among the words of the command line, or `pgrid` itself. A reference, as above.
class Subcommand {
 public:
  explicit Subcommand(CLI::App* app) : app_(app) {}

  [[nodiscard]] Subcommand add_subcommand(const std::string& name, const std::string& help) const;
  void footer(const std::string& text) const;
  /// `name` as in "-o,--output", or as in "NAME": then it is an argument. The variable must outlive the parsing.
  Option add_option(const std::string& name, std::string& text, const std::string& help) const;
  Option add_option(const std::string& name, std::filesystem::path& path, const std::string& help) const;
  Option add_option(const std::string& name, std::vector<std::string>& texts, const std::string& help) const;
  Option add_option(const std::string& name, std::int64_t& number, const std::string& help) const;
  Option add_flag(const std::string& name, bool& flag, const std::string& help) const;

  /// What is wrong with the text of a value, nullopt: nothing, and it was taken.
  using Parse = std::function<std::optional<std::string>(const std::string& text)>;
  Option add_parsed(const std::string& name, Parse parse, const std::string& help) const;

  /// For what looks at the whole command line.
  [[nodiscard]] CLI::App* app() const { return app_; }

 private:
  CLI::App* app_;
};

/// Options that are whole numbers, or written with units. What is wrong with them is said when they are parsed: exit code 2.
Option add_number(Subcommand command, const std::string& name, std::optional<std::uint64_t>& number, const std::string& help);
Option add_size(Subcommand command, const std::string& name, std::uint64_t& bytes, const std::string& help);
Option add_duration(Subcommand command, const std::string& name, std::uint64_t& us, const std::string& help);

}  // namespace pgrid::tools
