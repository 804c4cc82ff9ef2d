#include "control/api/events.hpp"

#include "control/api/replies.hpp"

namespace pgrid::control {
namespace {

Json event_view(const Event& event) {
  Json view{{"number", event.number},
            {"record", event.sequence},
            {"time_unix_ns", event.time_unix_ns},
            {"what", event.what},
            {"text", event.text}};
  if (event.generation != 0) {
    view["process"] = event.name;
    view["index"] = event.process;
    view["generation"] = event.generation;
  }
  if (event.right_generation != 0)
    view["right"] = std::to_string(event.slot) + '.' + std::to_string(event.right_generation);
  return view;
}

}  // namespace

void serve_events(Node& node, const Request& request, const Target& target, Respond respond) {
  if (request.method != "GET") return respond(wrong_method("GET"));
  if (const auto allowed = target.allow({"process", "after", "limit", "newest"}); !allowed)
    return respond(error_response(allowed.error()));
  const auto after = target.number("after", INT64_MAX);
  const auto limit = target.number("limit", kEventsMax);
  const auto newest = target.flag("newest");
  if (!after) return respond(error_response(after.error()));
  if (!limit) return respond(error_response(limit.error()));
  if (!newest) return respond(error_response(newest.error()));
  EventQuery query;
  query.name = target.text("process").value_or("");
  query.after = after->value_or(0);
  query.limit = static_cast<std::uint32_t>(limit->value_or(kEventsDefault));
  query.newest = *newest;
  node.events(
      query, [first = query.after, respond = std::move(respond)](const Result<std::vector<Event>>& events) {
        if (!events) return respond(error_response(events.error()));
        Json list = Json::array();
        for (const Event& event : *events) list.push_back(event_view(event));
        respond(ok({{"events", std::move(list)}, {"next", events->empty() ? first : events->back().number}}));
      });
}

}  // namespace pgrid::control
