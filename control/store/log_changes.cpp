#include "control/store/log_changes.hpp"

#include <algorithm>
#include <limits>
#include <tuple>
#include <type_traits>

#include "control/cbor/cbor.hpp"

namespace pgrid::control {
namespace {

// The fields of each kind in the order of the log. A member that is missing here does not compile.
auto fields(auto& record, std::type_identity<abi::RightRef>) {
  auto& [slot, generation] = record;
  return std::tie(slot, generation);
}
auto fields(auto& record, std::type_identity<Maker>) {
  auto& [process, generation, instance, life] = record;
  return std::tie(process, generation, instance, life);
}
auto fields(auto& record, std::type_identity<Holding>) {
  auto& [process, generation, handle, name] = record;
  return std::tie(process, generation, handle, name);
}
auto fields(auto& record, std::type_identity<ProcessRecord>) {
  auto& [index, generation, name, cid, module_bytes, memory_bytes, time_limit_us, rate, worker, deployed_unix,
         restarts_max, restart_period_ms, strategy, backoff_min_ms, backoff_max_ms, give_up_after, group,
         rest_for_one, gave_up, verdict] = record;
  return std::tie(index, generation, name, cid, module_bytes, memory_bytes, time_limit_us, rate, worker,
                  deployed_unix, restarts_max, restart_period_ms, strategy, backoff_min_ms, backoff_max_ms,
                  give_up_after, group, rest_for_one, gave_up, verdict);
}
auto fields(auto& record, std::type_identity<RightRecord>) {
  auto& [slot, generation, key, label, expires_unix_ns, process, deadline_max_us, in_flight_max, body_max,
         rate, burst, created_unix, internal, permissions, parent, maker, token, name, holding] = record;
  return std::tie(slot, generation, key, label, expires_unix_ns, process, deadline_max_us, in_flight_max,
                  body_max, rate, burst, created_unix, internal, permissions, parent, maker, token, holding,
                  name);
}
auto fields(auto& record, std::type_identity<DropProcess>) {
  auto& [index] = record;
  return std::tie(index);
}
auto fields(auto& record, std::type_identity<DropRight>) {
  auto& [slot] = record;
  return std::tie(slot);
}
auto fields(auto& record, std::type_identity<FreeSlot>) {
  auto& [slot, next_generation, last_key] = record;
  return std::tie(slot, next_generation, last_key);
}
auto fields(auto& record, std::type_identity<FreeIndex>) {
  auto& [index, next_generation] = record;
  return std::tie(index, next_generation);
}
auto fields(auto& record, std::type_identity<Happened>) {
  auto& [what, process, generation, text] = record;
  return std::tie(what, process, generation, text);
}
auto fields(auto& record, std::type_identity<AdvertRecord>) {
  auto& [who, text, tags, open, can] = record;
  return std::tie(who, text, tags, open, can);
}
auto fields(auto& record, std::type_identity<DropAdvert>) {
  auto& [process] = record;
  return std::tie(process);
}
auto fields(auto& record, std::type_identity<WatchRecord>) {
  auto& [right, who, number] = record;
  return std::tie(right, who, number);
}
auto fields(auto& record, std::type_identity<DropWatch>) {
  auto& [right, process] = record;
  return std::tie(right, process);
}

auto fields(auto& record, std::type_identity<IssuedToken>) {
  auto& [cid, payload, expires_unix, right, process, generation, audience, has_label, label] = record;
  return std::tie(cid, payload, expires_unix, right, process, generation, audience, has_label, label);
}
auto fields(auto& record, std::type_identity<RevokedToken>) {
  auto& [digest, until_unix] = record;
  return std::tie(digest, until_unix);
}
auto fields(auto& record, std::type_identity<SpentInvocation>) {
  auto& [cid, until_unix, links] = record;
  return std::tie(cid, until_unix, links);
}
auto fields(auto& record, std::type_identity<DropToken>) {
  auto& [kind, digest] = record;
  return std::tie(kind, digest);
}

// The number of a kind is its place in the variant.
constexpr std::size_t kKinds = std::variant_size_v<Change>;
static_assert(kKinds == 15, "a new kind of change goes behind the others, and gets its fields above");

template <typename T>
struct Optional : std::false_type {};
template <typename T>
struct Optional<std::optional<T>> : std::true_type {};

class Writer {
 public:
  template <typename T>
  void put(const T& value) {
    if constexpr (std::is_enum_v<T>) {
      out_.number(static_cast<std::uint64_t>(value));
    } else if constexpr (std::is_integral_v<T>) {
      out_.number(static_cast<std::uint64_t>(value));
    } else if constexpr (std::is_same_v<T, std::string>) {  // bytes: what a function said need not be UTF-8
      out_.bytes({reinterpret_cast<const std::uint8_t*>(value.data()), value.size()});
    } else if constexpr (std::is_same_v<T, control::Key>) {
      out_.bytes(value);
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      out_.array(value.size());
      for (const std::string& one : value) put(one);
    } else if constexpr (Optional<T>::value) {
      value ? put_fields(*value) : void(out_.array(0));
    } else {
      put_fields(value);
    }
  }
  void put_change(const Change& change) {
    std::visit(
        [&]<typename T>(const T& record) {
          const auto all = fields(record, std::type_identity<T>{});
          out_.array(1 + std::tuple_size_v<decltype(all)>);
          out_.number(change.index());
          std::apply([&](const auto&... field) { (put(field), ...); }, all);
        },
        change);
  }
  CborWriter& out() { return out_; }

 private:
  template <typename T>
  void put_fields(const T& record) {
    const auto all = fields(record, std::type_identity<T>{});
    out_.array(std::tuple_size_v<decltype(all)>);
    std::apply([&](const auto&... field) { (put(field), ...); }, all);
  }
  CborWriter out_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> payload) : in_(payload) {}

  template <typename T>
  bool take(T& value) {
    if constexpr (std::is_same_v<T, abi::RestartStrategy>) {
      const auto number = in_.number();
      if (!number || *number > static_cast<std::uint64_t>(abi::RestartStrategy::never)) return false;
      value = static_cast<abi::RestartStrategy>(*number);
      return true;
    } else if constexpr (std::is_integral_v<T>) {
      const auto number = in_.number();
      // What has a sign in memory is a time, which fits all the same.
      if (!number || *number > static_cast<std::uint64_t>(std::numeric_limits<T>::max())) return false;
      value = static_cast<T>(*number);
      return true;
    } else if constexpr (std::is_same_v<T, std::string>) {
      const auto bytes = in_.bytes();
      if (bytes) value.assign(reinterpret_cast<const char*>(bytes->data()), bytes->size());
      return bytes.has_value();
    } else if constexpr (std::is_same_v<T, control::Key>) {
      const auto bytes = in_.bytes();
      if (!bytes || bytes->size() != value.size()) return false;
      std::copy(bytes->begin(), bytes->end(), value.begin());
      return true;
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      auto left = in_.array();
      while (left && *left > 0 && take(value.emplace_back())) --*left;
      return left && *left == 0;
    } else if constexpr (Optional<T>::value) {
      const auto count = in_.array();
      return count && (*count == 0 || take_fields(value.emplace(), *count));
    } else {
      const auto count = in_.array();
      return count && take_fields(value, *count);
    }
  }
  template <std::size_t kKind = 0>
  bool take_change(std::uint64_t kind, std::uint64_t count, Change& change) {
    if constexpr (kKind < kKinds) {
      if (kind != kKind) return take_change<kKind + 1>(kind, count, change);
      return take_fields(change.emplace<kKind>(), count);
    }
    return false;
  }
  CborReader& in() { return in_; }

 private:
  /// Of fewer fields the rest is left as it is; more are none of ours.
  template <typename T>
  bool take_fields(T& record, std::uint64_t count) {
    auto all = fields(record, std::type_identity<T>{});
    if (count == 0 || count > std::tuple_size_v<decltype(all)>) return false;
    return std::apply([&](auto&... field) { return ((count == 0 || (--count, take(field))) && ...); }, all);
  }
  CborReader in_;
};

}  // namespace

Bytes encode_changes(std::span<const Change> changes) {
  Writer writer;
  writer.out().array(changes.size());
  for (const Change& change : changes) writer.put_change(change);
  return writer.out().take();
}

Result<std::vector<Change>> decode_changes(std::span<const std::uint8_t> payload) {
  Reader reader(payload);
  std::vector<Change> changes;
  const auto bad = [&] {
    return fail(Errc::corrupt, "change " + std::to_string(changes.size()),
                "it is none that this version knows", "use the version that wrote it, or a newer one");
  };
  const auto count = reader.in().array();
  if (!count || *count > payload.size()) return bad();  // each has a byte at least
  changes.reserve(*count);
  for (std::uint64_t i = 0; i < *count; ++i) {
    const auto fields = reader.in().array();
    const auto kind = fields && *fields > 1 ? reader.in().number() : std::nullopt;
    if (!kind || !reader.take_change(*kind, *fields - 1, changes.emplace_back())) return bad();
  }
  if (!reader.in().at_end()) return bad();
  return changes;
}

}  // namespace pgrid::control
