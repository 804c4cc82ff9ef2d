#include "tools/pgrid/commands/verdict_text.hpp"

#include "drivers/config/units.hpp"
#include "tools/pgrid/command.hpp"

namespace pgrid::tools {
namespace {

using Json = nlohmann::json;

bool flag_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

Json part_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? Json() : *found;
}

std::string list_text(const Json& names) {
  std::string text;
  if (names.is_array())
    for (const Json& name : names)
      if (name.is_string()) text += (text.empty() ? "" : ", ") + name.get<std::string>();
  return text.empty() ? "nothing" : text;
}

std::string counted(std::uint64_t number, const std::string& word) {
  return grouped(number) + " " + word + (number == 1 ? "" : "s");
}

std::string memory_text(const Json& memory) {
  const bool has_max = part_of(memory, "declared_max").is_number_unsigned();
  return "begins with " + config::size_text(number_of(memory, "begins_with")) + ", " +
         (has_max ? "grows to " + config::size_text(number_of(memory, "declared_max")) + " at most"
                  : "may grow") +
         "; the limit is " + config::size_text(number_of(memory, "limit"));
}

std::string stack_text(const Json& stack) {
  const std::string limit = config::size_text(number_of(stack, "limit"));
  if (!part_of(stack, "bytes").is_number_unsigned())
    return "no bound, because of recursion; beyond " + limit + " it traps";
  const std::uint64_t bytes = number_of(stack, "bytes");
  return "about " + config::size_text(bytes) + " at most, of " + limit +
         (bytes > number_of(stack, "limit") ? ": it may trap there" : "");
}

std::string place_text(const Json& entry) {
  if (!part_of(entry, "function").is_number_unsigned()) return "";
  const std::string name = text_of(entry, "name", "");
  return " (function " + std::to_string(number_of(entry, "function")) + (name.empty() ? "" : ", " + name) +
         ", at byte " + std::to_string(number_of(entry, "offset")) + " of the file)";
}

std::string entry_text(const Json& entry) {
  if (!flag_of(entry, "proved")) return "not proved to end: " + text_of(entry, "reason") + place_text(entry);
  std::string text = "ends, after " + counted(number_of(entry, "steps"), "step") + " at most";
  if (text_of(entry, "entry", "") == "pg_activate")
    text += "; " + grouped(number_of(entry, "steps_per_message")) + " at most for one message";
  return text;
}

}  // namespace

Lines termination_lines(const Json& verdict) {
  Lines lines;
  const Json entries = part_of(verdict, "termination");
  if (entries.is_array())
    for (const Json& entry : entries)
      if (entry.is_object()) lines.emplace_back(text_of(entry, "entry"), entry_text(entry));
  return lines;
}

Lines verdict_lines(const Json& verdict) {
  Lines lines;
  lines.emplace_back("module",
                     config::size_text(number_of(verdict, "module_bytes")) +
                         (flag_of(verdict, "analysed")
                              ? ": " + counted(number_of(verdict, "functions"), "function") + ", " +
                                    config::size_text(number_of(verdict, "code_bytes")) + " of code, " +
                                    config::size_text(number_of(verdict, "data_bytes")) + " of data"
                              : ", not analysed: " + text_of(verdict, "why_not")));
  if (flag_of(verdict, "analysed")) {
    lines.emplace_back("imports", list_text(part_of(verdict, "imports")));
    lines.emplace_back("exports", list_text(part_of(verdict, "exports")));
    lines.emplace_back("memory", memory_text(part_of(verdict, "memory")));
    lines.emplace_back("call stack", stack_text(part_of(verdict, "stack")));
  }
  for (auto& line : termination_lines(verdict)) lines.push_back(std::move(line));
  return lines;
}

std::string promise_text(const Json& verdict) {
  const Json entries = part_of(verdict, "termination");
  bool all = entries.is_array() && !entries.empty();
  if (all)
    for (const Json& entry : entries) all = all && entry.is_object() && flag_of(entry, "proved");
  if (all) return "It ends, whatever it is sent. Its time limit still holds: steps are not time.";
  return "What it promises is its time limit: a message that takes longer is answered `broken`, and the "
         "function starts afresh.";
}

}  // namespace pgrid::tools
