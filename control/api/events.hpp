// GET /v1/events: what happened, from the log.
#pragma once

#include "control/api/http.hpp"
#include "control/api/target.hpp"
#include "control/node.hpp"

namespace pgrid::control {

inline constexpr std::uint32_t kEventsDefault = 100;
inline constexpr std::uint32_t kEventsMax = 1'000;  // at once: about 200 bytes each

void serve_events(Node& node, const Request& request, const Target& target, Respond respond);

}  // namespace pgrid::control
