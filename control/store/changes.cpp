#include "control/store/changes.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>

namespace pgrid::control {
namespace {

using Json = nlohmann::json;

Json to_json(const ProcessRecord& p) {
  return {{"type", "process"},
          {"index", p.index},
          {"generation", p.generation},
          {"name", p.name},
          {"cid", p.cid},
          {"module_bytes", p.module_bytes},
          {"memory_bytes", p.memory_bytes},
          {"time_limit_us", p.time_limit_us},
          {"rate", p.rate},
          {"worker", p.worker},
          {"deployed_unix", p.deployed_unix},
          {"restarts_max", p.restarts_max},
          {"restart_period_ms", p.restart_period_ms},
          {"strategy", static_cast<std::uint32_t>(p.strategy)},
          {"backoff_min_ms", p.backoff_min_ms},
          {"backoff_max_ms", p.backoff_max_ms},
          {"give_up_after", p.give_up_after},
          {"group", p.group},
          {"rest_for_one", p.rest_for_one},
          {"gave_up", p.gave_up},
          {"verdict", p.verdict}};
}

void put_maker(Json& map, const Maker& maker) {
  map["maker"] = maker.process;
  map["maker_generation"] = maker.generation;
  map["instance"] = maker.instance;
  map["life"] = maker.life;
}

Json to_json(const RightRecord& r) {
  Json map{{"type", "right"},
           {"slot", r.slot},
           {"generation", r.generation},
           {"key", Json::binary({r.key.begin(), r.key.end()})},
           {"label", r.label},
           {"expires_unix_ns", r.expires_unix_ns},
           {"process", r.process},
           {"deadline_max_us", r.deadline_max_us},
           {"in_flight_max", r.in_flight_max},
           {"body_max", r.body_max},
           {"rate", r.rate},
           {"burst", r.burst},
           {"created_unix", r.created_unix},
           {"internal", r.internal},
           {"permissions", r.permissions}};
  if (r.parent) {
    map["parent"] = r.parent->slot;
    map["parent_generation"] = r.parent->generation;
  }
  if (r.maker) put_maker(map, *r.maker);
  if (!r.token.empty()) map["token"] = r.token;
  if (!r.name.empty()) map["right_name"] = r.name;
  if (r.holding) {
    map["holder"] = r.holding->process;
    map["holder_generation"] = r.holding->generation;
    map["handle"] = r.holding->handle;
    map["name"] = r.holding->name;
  }
  return map;
}

Json to_json(const DropProcess& d) { return {{"type", "drop_process"}, {"index", d.index}}; }
Json to_json(const DropRight& d) { return {{"type", "drop_right"}, {"slot", d.slot}}; }
Json to_json(const FreeSlot& f) {
  return {{"type", "free_slot"},
          {"slot", f.slot},
          {"next_generation", f.next_generation},
          {"last_key", Json::binary({f.last_key.begin(), f.last_key.end()})}};
}
Json to_json(const FreeIndex& f) {
  return {{"type", "free_index"}, {"index", f.index}, {"next_generation", f.next_generation}};
}

Json to_json(const Happened& h) {
  return {{"type", "happened"},
          {"what", h.what},
          {"process", h.process},
          {"generation", h.generation},
          {"text", h.text}};
}

Json to_json(const AdvertRecord& a) {
  Json map{{"type", "advert"}, {"text", a.text}, {"tags", a.tags}};
  put_maker(map, a.who);
  if (a.open) {
    map["open"] = a.open->slot;
    map["open_generation"] = a.open->generation;
    map["can"] = a.can;
  }
  return map;
}
Json to_json(const DropAdvert& d) { return {{"type", "drop_advert"}, {"process", d.process}}; }
Json to_json(const WatchRecord& w) {
  Json map{
      {"type", "watch"}, {"slot", w.right.slot}, {"generation", w.right.generation}, {"number", w.number}};
  put_maker(map, w.who);
  return map;
}
Json to_json(const DropWatch& d) {
  return {{"type", "drop_watch"},
          {"slot", d.right.slot},
          {"generation", d.right.generation},
          {"process", d.process}};
}

// Tokens came after this format: the log has them (log_changes.hpp).
template <typename T>
  requires(std::is_same_v<T, IssuedToken> || std::is_same_v<T, RevokedToken> ||
           std::is_same_v<T, SpentInvocation> || std::is_same_v<T, DropToken>)
Json to_json(const T&) {
  return {{"type", "token"}};
}

/// Takes fields out of one map; remembers whether any was missing or did not fit.
class Fields {
 public:
  explicit Fields(const Json& map) : map_(map) {}

  template <typename T>
  void take(const char* name, T& value) {
    const auto found = map_.find(name);
    if (found == map_.end()) return wrong(name);
    if constexpr (std::is_same_v<T, bool>) {
      if (!found->is_boolean()) return wrong(name);
      value = found->get<bool>();
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (!found->is_string()) return wrong(name);
      value = found->get_ref<const std::string&>();
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      if (!found->is_array()) return wrong(name);
      for (const Json& one : *found)
        if (one.is_string())
          value.push_back(one.get_ref<const std::string&>());
        else
          return wrong(name);
    } else if constexpr (std::is_same_v<T, Key>) {
      if (!found->is_binary() || found->get_binary().size() != value.size()) return wrong(name);
      std::copy(found->get_binary().begin(), found->get_binary().end(), value.begin());
    } else if constexpr (std::is_signed_v<T>) {
      if (!found->is_number_integer()) return wrong(name);
      value = found->get<T>();
    } else {
      if (!found->is_number_unsigned() || found->get<std::uint64_t>() > std::numeric_limits<T>::max())
        return wrong(name);
      value = found->get<T>();
    }
  }
  /// A field that older journals do not have: the value stays as it is.
  template <typename T>
  void take_if_there(const char* name, T& value) {
    if (has(name)) take(name, value);
  }
  [[nodiscard]] bool has(const char* name) const { return map_.contains(name); }
  [[nodiscard]] const std::string& wrong_field() const { return wrong_; }

 private:
  void wrong(const char* name) {
    if (wrong_.empty()) wrong_ = name;
  }
  const Json& map_;
  std::string wrong_;
};

std::unexpected<Error> corrupt(std::string cause) {
  return fail(Errc::corrupt, "read a journal record", std::move(cause));
}

void take_maker(Fields& in, Maker& maker) {
  in.take("maker", maker.process);
  in.take("maker_generation", maker.generation);
  in.take("instance", maker.instance);
  in.take_if_there("life", maker.life);
}

Result<Change> change_from(const Json& map) {
  if (!map.is_object() || !map.contains("type") || !map["type"].is_string()) return corrupt("not a change");
  const std::string& type = map["type"].get_ref<const std::string&>();
  Fields in(map);
  Change change;
  if (type == "process") {
    ProcessRecord p;
    in.take("index", p.index);
    in.take("generation", p.generation);
    in.take("name", p.name);
    in.take("cid", p.cid);
    in.take("module_bytes", p.module_bytes);
    in.take("memory_bytes", p.memory_bytes);
    in.take("time_limit_us", p.time_limit_us);
    in.take("rate", p.rate);
    in.take("worker", p.worker);
    in.take("deployed_unix", p.deployed_unix);
    in.take_if_there("restarts_max", p.restarts_max);
    in.take_if_there("restart_period_ms", p.restart_period_ms);
    std::uint32_t strategy = 0;
    in.take_if_there("strategy", strategy);
    if (strategy > static_cast<std::uint32_t>(abi::RestartStrategy::never))
      return corrupt("a strategy that is none");
    p.strategy = static_cast<abi::RestartStrategy>(strategy);
    in.take_if_there("backoff_min_ms", p.backoff_min_ms);
    in.take_if_there("backoff_max_ms", p.backoff_max_ms);
    in.take_if_there("give_up_after", p.give_up_after);
    in.take_if_there("group", p.group);
    in.take_if_there("rest_for_one", p.rest_for_one);
    in.take_if_there("gave_up", p.gave_up);
    in.take_if_there("verdict", p.verdict);
    change = std::move(p);
  } else if (type == "right") {
    RightRecord r;
    in.take("slot", r.slot);
    in.take("generation", r.generation);
    in.take("key", r.key);
    in.take("label", r.label);
    in.take("expires_unix_ns", r.expires_unix_ns);
    in.take("process", r.process);
    in.take("deadline_max_us", r.deadline_max_us);
    in.take("in_flight_max", r.in_flight_max);
    in.take("body_max", r.body_max);
    in.take("rate", r.rate);
    in.take("burst", r.burst);
    in.take("created_unix", r.created_unix);
    in.take("internal", r.internal);
    in.take_if_there("permissions", r.permissions);
    if (in.has("parent")) {
      abi::RightRef& parent = r.parent.emplace();
      in.take("parent", parent.slot);
      in.take("parent_generation", parent.generation);
    }
    if (in.has("maker")) {
      take_maker(in, r.maker.emplace());
    }
    in.take_if_there("token", r.token);
    in.take_if_there("right_name", r.name);
    if (in.has("handle")) {
      Holding& holding = r.holding.emplace();
      in.take("holder", holding.process);
      in.take("holder_generation", holding.generation);
      in.take("handle", holding.handle);
      in.take("name", holding.name);
    }
    change = std::move(r);
  } else if (type == "drop_process") {
    DropProcess d;
    in.take("index", d.index);
    change = d;
  } else if (type == "drop_right") {
    DropRight d;
    in.take("slot", d.slot);
    change = d;
  } else if (type == "free_slot") {
    FreeSlot f;
    in.take("slot", f.slot);
    in.take("next_generation", f.next_generation);
    in.take("last_key", f.last_key);
    change = f;
  } else if (type == "free_index") {
    FreeIndex f;
    in.take("index", f.index);
    in.take("next_generation", f.next_generation);
    change = f;
  } else if (type == "happened") {
    Happened h;
    in.take("what", h.what);
    in.take("process", h.process);
    in.take("generation", h.generation);
    in.take("text", h.text);
    change = std::move(h);
  } else if (type == "advert") {
    AdvertRecord a;
    take_maker(in, a.who);
    in.take("text", a.text);
    in.take("tags", a.tags);
    if (in.has("open")) {
      abi::RightRef& open = a.open.emplace();
      in.take("open", open.slot);
      in.take("open_generation", open.generation);
      in.take("can", a.can);
    }
    change = std::move(a);
  } else if (type == "drop_advert") {
    DropAdvert d;
    in.take("process", d.process);
    change = d;
  } else if (type == "watch") {
    WatchRecord w;
    in.take("slot", w.right.slot);
    in.take("generation", w.right.generation);
    in.take("number", w.number);
    take_maker(in, w.who);
    change = w;
  } else if (type == "drop_watch") {
    DropWatch d;
    in.take("slot", d.right.slot);
    in.take("generation", d.right.generation);
    in.take("process", d.process);
    change = d;
  } else {
    return corrupt("unknown type \"" + type + "\", which a newer version may have written");
  }
  if (!in.wrong_field().empty())
    return corrupt("field \"" + in.wrong_field() + "\" of a " + type + " is wrong");
  return change;
}

}  // namespace

std::vector<std::uint8_t> encode(std::span<const Change> changes) {
  Json array = Json::array();
  for (const Change& change : changes)
    array.push_back(std::visit([](const auto& c) { return to_json(c); }, change));
  return Json::to_cbor(array);
}

Result<std::vector<Change>> decode(std::span<const std::uint8_t> payload) {
  const Json array =
      Json::from_cbor(payload.begin(), payload.end(), /*strict=*/true, /*allow_exceptions=*/false);
  if (!array.is_array()) return corrupt("not a CBOR array");
  std::vector<Change> changes;
  changes.reserve(array.size());
  for (const Json& map : array) {
    Result<Change> change = change_from(map);
    if (!change) return std::unexpected(change.error());
    changes.push_back(std::move(*change));
  }
  return changes;
}

}  // namespace pgrid::control
