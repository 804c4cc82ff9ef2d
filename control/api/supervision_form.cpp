#include "control/api/supervision_form.hpp"

#include <iterator>

namespace pgrid::control {
namespace {

constexpr std::string_view kStrategies[] = {"always", "on-failure", "never"};  // by abi::RestartStrategy

std::string_view name_of(abi::RestartStrategy strategy) {
  const auto i = static_cast<std::size_t>(strategy);
  return i < std::size(kStrategies) ? kStrategies[i] : "unknown";
}

Json violations_view(const Violations& violations) {
  Json counts = Json::object();
  for (std::uint8_t i = 1; i < abi::kViolationCount; ++i)
    counts[std::string(name_of(static_cast<abi::Violation>(i)))] = violations.told[i];
  counts["over_limit"] = violations.over_limit;
  return {{"counts", std::move(counts)}, {"last_unix_ms", violations.last_unix_ms}, {"last_text", violations.last_text}};
}

}  // namespace

Result<void> read_supervision(const Target& target, DeployRequest& deploy) {
  const std::pair<const char*, std::uint32_t*> numbers[] = {{"restarts_max", &deploy.restarts_max},
                                                            {"restart_period_ms", &deploy.restart_period_ms},
                                                            {"backoff_min_ms", &deploy.backoff_min_ms},
                                                            {"backoff_max_ms", &deploy.backoff_max_ms},
                                                            {"give_up_after", &deploy.give_up_after}};
  for (const auto& [name, value] : numbers) {
    const auto number = target.number(name, UINT32_MAX);
    if (!number) return std::unexpected(number.error());
    if (*number) *value = static_cast<std::uint32_t>(**number);
  }
  if (const std::optional<std::string> strategy = target.text("strategy")) {
    std::size_t i = 0;
    while (i < std::size(kStrategies) && kStrategies[i] != *strategy) ++i;
    if (i == std::size(kStrategies))
      return fail(Errc::invalid_argument, "query parameter strategy", "\"" + *strategy + "\" is not possible",
                  "give always, on-failure or never");
    deploy.strategy = static_cast<abi::RestartStrategy>(i);
  }
  deploy.group = target.text("group").value_or("");
  const Result<bool> rest_for_one = target.flag("rest_for_one");
  if (!rest_for_one) return std::unexpected(rest_for_one.error());
  deploy.rest_for_one = *rest_for_one;
  return {};
}

void add_supervision(const Node& node, const ProcessRecord& process, Json& view) {
  const Restarts restarts = node.supervision().restarts().of(process);
  view["rebuilds"] = restarts.count;
  view["last_rebuild_unix_ms"] = restarts.last_unix_ms;
  view["last_rebuild_text"] = restarts.last_text;
  view["backoff_ms"] = restarts.backoff_ms;
  view["restarts_max"] = process.restarts_max;
  view["restart_period_ms"] = process.restart_period_ms;
  view["strategy"] = name_of(process.strategy);
  view["backoff_min_ms"] = process.backoff_min_ms;
  view["backoff_max_ms"] = process.backoff_max_ms;
  view["give_up_after"] = process.give_up_after;
  view["group"] = process.group;
  view["rest_for_one"] = process.rest_for_one;
  view["gave_up"] = process.gave_up;
  view["violations"] = violations_view(node.supervision().violations().of(process));
}

}  // namespace pgrid::control
