#include "control/store/journal_changes.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>

namespace pgrid::control {
namespace {

using Json = nlohmann::json;

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
  } else {
    return corrupt("unknown type \"" + type + "\", which a newer version may have written");
  }
  if (!in.wrong_field().empty())
    return corrupt("field \"" + in.wrong_field() + "\" of a " + type + " is wrong");
  return change;
}

}  // namespace

Result<std::vector<Change>> decode_journal(std::span<const std::uint8_t> payload) {
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
