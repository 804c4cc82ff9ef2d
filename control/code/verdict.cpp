#include "control/code/verdict.hpp"

#include <string_view>

#include "drivers/wasm/engine.hpp"

namespace pgrid::control {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kNameShown = 64;   // characters of a name
constexpr std::size_t kNamesShown = 32;  // exports: the verdict is kept in the log

std::string shown(std::string_view name) {
  std::string text(name.substr(0, kNameShown));
  for (char& c : text)
    if (c < 0x20 || c >= 0x7f) c = '?';
  return name.size() > kNameShown ? text + "..." : text;
}

Json limit_json(const std::optional<std::uint64_t>& max, std::uint64_t unit) {
  return max ? Json(*max * unit) : Json(nullptr);
}

Json bounds_json(const code::Bounds& bounds, std::uint64_t unit) {
  return {{"begins_with", bounds.min * unit}, {"declared_max", limit_json(bounds.max, unit)}};
}

Json entry_json(const code::Module& module, const EntryFinding& entry) {
  Json json{{"entry", entry.name}, {"proved", entry.is_proved}};
  if (entry.is_proved) {
    json["steps"] = entry.steps;
    json["steps_per_message"] = entry.steps_per_message;
  } else {
    json["reason"] = entry.reason;
    json["function"] = entry.place;
    json["name"] = entry.place < module.functions.size() ? shown(module.functions[entry.place].name) : "";
    json["offset"] = entry.offset;
  }
  return json;
}

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

}  // namespace

Json verdict_of(const code::Module& module, std::uint64_t module_bytes, std::uint64_t memory_bytes,
                const std::vector<EntryFinding>& entries) {
  Json json{{"format", 1},
            {"analysed", true},
            {"module_bytes", module_bytes},
            {"code_bytes", module.code_bytes},
            {"data_bytes", module.data_bytes},
            {"functions", module.functions.size() - module.imported_functions},
            {"start", module.start.has_value()}};
  json["imports"] = Json::array();
  for (const code::Import& import : module.imports)
    if (json["imports"].size() < kNamesShown)
      json["imports"].push_back(shown(import.module) + "." + shown(import.name));
  json["exports"] = Json::array();
  for (const code::Export& one : module.exports)
    if (json["exports"].size() < kNamesShown) json["exports"].push_back(shown(one.name));
  if (!module.memories.empty()) json["memory"] = bounds_json(module.memories.front(), wasm::kPageBytes);
  json["memory"]["limit"] = memory_bytes;
  json["tables"] = Json::array();
  for (const code::Bounds& table : module.tables) json["tables"].push_back(bounds_json(table, 1));
  std::optional<std::uint64_t> stack = 0;
  json["termination"] = Json::array();
  for (const EntryFinding& entry : entries) {
    json["termination"].push_back(entry_json(module, entry));
    stack = stack && entry.stack_bytes ? std::optional(std::max(*stack, *entry.stack_bytes)) : std::nullopt;
  }
  json["stack"] = {{"bytes", limit_json(stack, 1)}, {"limit", wasm::kStackBytes}};
  json["short"] = short_form(json);
  return json;
}

Json verdict_without_analysis(std::uint64_t module_bytes, std::uint64_t memory_bytes,
                              const std::string& why) {
  Json json{{"format", 1},
            {"analysed", false},
            {"module_bytes", module_bytes},
            {"memory", {{"limit", memory_bytes}}},
            {"stack", {{"bytes", nullptr}, {"limit", wasm::kStackBytes}}},
            {"why_not", shown(why)}};
  json["termination"] = Json::array(
      {{{"entry", "pg_activate"}, {"proved", false}, {"reason", "the module could not be analysed"}}});
  json["short"] = short_form(json);
  return json;
}

std::string short_form(const Json& verdict) {
  const auto entries = verdict.find("termination");
  std::uint64_t steps = 0;
  bool all = entries != verdict.end() && entries->is_array() && !entries->empty();
  if (all)
    for (const Json& entry : *entries) {
      all = all && entry.is_object() && entry.value("proved", false);
      if (all && entry.value("entry", "") == "pg_activate")
        steps = entry.value("steps_per_message", std::uint64_t{0});
    }
  if (!all) return "termination not proved; bounded by its time limit";
  return "terminates within " + grouped(steps) + " steps per message";
}

}  // namespace pgrid::control
