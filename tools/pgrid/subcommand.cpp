#include "tools/pgrid/subcommand.hpp"

#include <CLI/CLI.hpp>
#include <charconv>

#include "drivers/config/units.hpp"

namespace pgrid::tools {
namespace {

using ParseUnit = Result<std::uint64_t> (*)(std::string_view);

Option add_unit(Subcommand command, const std::string& name, std::uint64_t& target, const std::string& help, const char* type,
                ParseUnit parse) {
  const Option option = command.add_parsed(
      name,
      [&target, parse](const std::string& text) -> std::optional<std::string> {
        const auto value = parse(text);
        if (!value) return value.error().sentence();
        target = *value;
        return std::nullopt;
      },
      help);
  return option.type_name(type);
}

}  // namespace

const Option& Option::required() const { return option_->required(), *this; }
const Option& Option::type_name(const std::string& word) const { return option_->type_name(word), *this; }
const Option& Option::one_of(std::vector<std::string> words) const {
  return option_->check(CLI::IsMember(std::move(words))), *this;
}
const Option& Option::excludes(const Option& other) const { return option_->excludes(other.option_), *this; }
const Option& Option::allow_extra_args(bool several) const { return option_->allow_extra_args(several), *this; }
const Option& Option::show_default() const { return option_->capture_default_str(), *this; }

Subcommand Subcommand::add_subcommand(const std::string& name, const std::string& help) const {
  return Subcommand(app_->add_subcommand(name, help));
}
void Subcommand::footer(const std::string& text) const { app_->footer(text); }
Option Subcommand::add_option(const std::string& name, std::string& text, const std::string& help) const {
  return Option(app_->add_option(name, text, help));
}
Option Subcommand::add_option(const std::string& name, std::filesystem::path& path, const std::string& help) const {
  return Option(app_->add_option(name, path, help));
}
Option Subcommand::add_option(const std::string& name, std::vector<std::string>& texts, const std::string& help) const {
  return Option(app_->add_option(name, texts, help));
}
Option Subcommand::add_option(const std::string& name, std::int64_t& number, const std::string& help) const {
  return Option(app_->add_option(name, number, help));
}
Option Subcommand::add_flag(const std::string& name, bool& flag, const std::string& help) const {
  return Option(app_->add_flag(name, flag, help));
}
Option Subcommand::add_parsed(const std::string& name, Parse parse, const std::string& help) const {
  return Option(app_->add_option_function<std::string>(
      name,
      [name, parse = std::move(parse)](const std::string& text) {
        if (const auto wrong = parse(text)) throw CLI::ValidationError(name, *wrong);
      },
      help));
}

Option add_number(Subcommand command, const std::string& name, std::optional<std::uint64_t>& number, const std::string& help) {
  const Option option = command.add_parsed(
      name,
      [&number](const std::string& text) -> std::optional<std::string> {
        std::uint64_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc{} || end != text.data() + text.size())
          return '"' + text + "\" is not a whole number, 0 or more";
        number = value;
        return std::nullopt;
      },
      help);
  return option.type_name("N");
}

Option add_size(Subcommand command, const std::string& name, std::uint64_t& bytes, const std::string& help) {
  return add_unit(command, name, bytes, help, "SIZE", config::parse_size);
}

Option add_duration(Subcommand command, const std::string& name, std::uint64_t& us, const std::string& help) {
  return add_unit(command, name, us, help, "TIME", config::parse_duration_us);
}

}  // namespace pgrid::tools
