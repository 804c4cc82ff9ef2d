#include "tools/pgrid/command.hpp"

namespace pgrid::tools {

std::string Context::node_option() const { return node_dir.empty() ? "" : " --node " + node_dir.string(); }

ExitCode Context::report(const Error& error) const {
  if (!is_no_node(error)) return printer.report(exit_code_of(error.code), error);
  Error with_option = error;
  with_option.remedy += node_option();
  return printer.report(ExitCode::no_node, with_option);
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
