// Control's state as the JSON of docs/API.md.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "control/node.hpp"

namespace pgrid::control {

using Json = nlohmann::ordered_json;

[[nodiscard]] Json node_view(const Node& node);
[[nodiscard]] Json process_view(const Node& node, const ProcessRecord& process);
[[nodiscard]] Json right_view(const Node& node, const RightRecord& right, bool secrets);
/// Slot, generation, and with `secrets` the address.
[[nodiscard]] Json right_brief(const Node& node, const RightRecord& right, bool secrets);
[[nodiscard]] Json counts_view(const Outcomes& outcomes);
[[nodiscard]] Json log_view(const LogLine& line);
[[nodiscard]] Json stat_view(const Node& node);

/// The text of a JSON value; bytes that are not UTF-8 (guests write what they like) become U+FFFD.
[[nodiscard]] std::string text_of(const Json& json);

/// Where this node is reached: first address and UDP port of node.toml.
struct Endpoint {
  std::string host;
  std::uint16_t port = 4646;
};
[[nodiscard]] Endpoint endpoint_of(const config::NodeConfig& config);
/// Whether a grid URI's host and port are this node's.
[[nodiscard]] bool is_ours(const config::NodeConfig& config, const std::string& host, std::uint16_t port);

}  // namespace pgrid::control
