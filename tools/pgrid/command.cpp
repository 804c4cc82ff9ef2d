#include "tools/pgrid/command.hpp"

#include <charconv>

#include "drivers/config/units.hpp"

namespace pgrid::tools {
namespace {

using Parse = Result<std::uint64_t> (*)(std::string_view);

CLI::Option* add_unit(CLI::App* app, const std::string& name, std::uint64_t& target, const std::string& help,
                      const std::string& type, Parse parse) {
  return app
      ->add_option_function<std::string>(
          name,
          [&target, parse, name](const std::string& text) {
            const auto value = parse(text);
            if (!value) throw CLI::ValidationError(name, value.error().sentence());
            target = *value;
          },
          help)
      ->type_name(type);
}

}  // namespace

std::string Context::node_option() const { return node_dir.empty() ? "" : " --node " + node_dir.string(); }

ExitCode Context::report(const Error& error) const {
  if (!is_no_node(error)) return printer.report(exit_code_of(error.code), error);
  Error with_option = error;
  with_option.remedy += node_option();
  return printer.report(ExitCode::no_node, with_option);
}

CLI::Option* add_number(CLI::App* app, const std::string& name, std::optional<std::uint64_t>& number, const std::string& help) {
  return app
      ->add_option_function<std::string>(
          name,
          [&number, name](const std::string& text) {
            std::uint64_t value = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
            if (error != std::errc{} || end != text.data() + text.size())
              throw CLI::ValidationError(name, '"' + text + "\" is not a whole number, 0 or more");
            number = value;
          },
          help)
      ->type_name("N");
}

CLI::Option* add_size(CLI::App* app, const std::string& name, std::uint64_t& bytes, const std::string& help) {
  return add_unit(app, name, bytes, help, "SIZE", config::parse_size);
}

CLI::Option* add_duration(CLI::App* app, const std::string& name, std::uint64_t& us, const std::string& help) {
  return add_unit(app, name, us, help, "TIME", config::parse_duration_us);
}

std::string text_of(const nlohmann::json& object, const char* key, const std::string& fallback) {
  if (!object.is_object() || !object.contains(key)) return fallback;
  const auto& value = object[key];
  if (value.is_string()) return value.get<std::string>();
  return value.is_null() ? fallback : value.dump();
}

std::uint64_t number_of(const nlohmann::json& object, const char* key) {
  if (!object.is_object() || !object.contains(key) || !object[key].is_number()) return 0;
  return object[key].is_number_unsigned() ? object[key].get<std::uint64_t>() : 0;
}

}  // namespace pgrid::tools
