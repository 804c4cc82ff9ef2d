// A right as people see it: whole, or its name and address only.
#include "abi/wire/grid_uri.hpp"
#include "control/api/views.hpp"

namespace pgrid::control {
namespace {

std::string ref_of(std::uint32_t slot, std::uint32_t generation) {
  return std::to_string(slot) + "." + std::to_string(generation);
}

/// Nobody needs the key of a right that a process or a function holds: the data plane knows it by its slot.
void put_uri(Json& view, const Node& node, const RightRecord& right) {
  if (right.holding || right.maker) return;
  const Endpoint endpoint = endpoint_of(node.config());
  view["uri"] = wire::to_text({endpoint.host, endpoint.port, {right.slot, right.generation, right.key}});
}

}  // namespace

Json right_brief(const Node& node, const RightRecord& right, bool secrets) {
  Json view = {{"slot", right.slot}, {"generation", right.generation}};
  if (secrets) put_uri(view, node, right);
  return view;
}

Json right_view(const Node& node, const RightRecord& right, bool secrets) {
  const auto name_of = [&](std::uint32_t process) {
    const ProcessRecord* record = node.state().process(process);
    return record == nullptr ? std::string() : record->name;
  };
  const Segments* segments = node.segments();
  Json view = {
      {"slot", right.slot},
      {"generation", right.generation},
      {"process", name_of(right.process)},
      {"label", right.label},
      {"can", permissions_text(right.permissions)},
      {"rate", right.rate},
      {"burst", right.burst},
      {"in_flight_max", right.in_flight_max},
      {"body_max", right.body_max},
      {"deadline_max_us", right.deadline_max_us},
      {"expires_unix", right.expires_unix_ns / 1'000'000'000},
      {"created_unix", right.created_unix},
      {"state", is_expired(right) ? "expired" : "active"},
      {"internal", right.internal},
      {"counts",
       counts_view(segments == nullptr ? Outcomes{} : segments->outcomes(right.slot, right.generation))}};
  if (right.parent) view["parent"] = ref_of(right.parent->slot, right.parent->generation);
  if (right.maker) view["maker"] = name_of(right.maker->process);
  if (!right.token.empty()) view["token"] = right.token;
  if (right.holding) {
    view["holder"] = name_of(right.holding->process);
    view["handle"] = right.holding->handle;
    view["name"] = right.holding->name;
  } else if (!right.name.empty()) {
    view["name"] = right.name;
  }
  if (secrets) put_uri(view, node, right);
  return view;
}

}  // namespace pgrid::control
