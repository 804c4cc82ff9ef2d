#include "control/capability/grants.hpp"

#include <charconv>
#include <optional>
#include <set>

#include "abi/shared/geometry.hpp"
#include "control/name.hpp"
#include "drivers/config/units.hpp"

namespace pgrid::control {
namespace {

constexpr const char* kForm =
    "write NAME=PROCESS, then as you like ,rate=N ,burst=N ,label=N ,in-flight=N "
    ",body-max=SIZE ,deadline=TIME ,expires=TIME ,can=send+derive+carry";

std::unexpected<Error> bad(std::string_view grant, std::string cause, std::string remedy = kForm) {
  return fail(Errc::invalid_argument, "grant \"" + std::string(grant) + "\"", std::move(cause),
              std::move(remedy));
}

template <typename T>
std::optional<T> whole_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// What `units` reads, when it fits 32 bits.
std::optional<std::uint32_t> small(const Result<std::uint64_t>& value) {
  if (!value || *value > UINT32_MAX) return std::nullopt;
  return static_cast<std::uint32_t>(*value);
}

/// Sets one option. False: its value is not possible. What is in range is judged with the right itself.
bool set(RightSpec& spec, std::string_view option, std::string_view value, bool& known) {
  const auto number = [&](std::optional<std::uint32_t>& field) {
    field = whole_number<std::uint32_t>(value);
    return field.has_value();
  };
  if (option == "rate") return number(spec.rate);
  if (option == "burst") return number(spec.burst);
  if (option == "in-flight") return number(spec.in_flight_max);
  if (option == "label") {
    const auto label = whole_number<std::uint64_t>(value);
    spec.label = label.value_or(0);
    return label.has_value();
  }
  if (option == "can") return (spec.permissions = parse_permissions(value, '+')).has_value();
  if (option == "body-max") return (spec.body_max = small(config::parse_size(value))).has_value();
  if (option == "deadline")
    return (spec.deadline_max_us = small(config::parse_duration_us(value))).has_value();
  if (option == "expires") {
    const auto us = config::parse_duration_us(value);
    if (us) spec.expires_in_s = *us / 1'000'000 + (*us % 1'000'000 != 0);
    return us.has_value();
  }
  known = false;
  return false;
}

}  // namespace

Result<GrantRequest> parse_grant(std::string_view text) {
  GrantRequest grant;
  const std::string_view first = text.substr(0, text.find(','));
  const std::size_t equals = first.find('=');
  if (equals == std::string_view::npos) return bad(text, "names no process");
  grant.name = first.substr(0, equals);
  grant.target = first.substr(equals + 1);
  if (!is_name(grant.name))
    return bad(text, "\"" + grant.name + "\" is not a name", "use 1 to 63 of a-z, 0-9 and -");
  if (!is_name(grant.target))
    return bad(text, "\"" + grant.target + "\" is not a process", "give a name or index that pgrid ls shows");
  std::set<std::string_view> seen;
  for (std::string_view rest = text.substr(first.size()); !rest.empty();) {
    rest.remove_prefix(1);  // the comma
    const std::string_view part = rest.substr(0, rest.find(','));
    rest.remove_prefix(part.size());
    const std::size_t at = part.find('=');
    const std::string_view option = part.substr(0, at);
    const std::string_view value = at == std::string_view::npos ? std::string_view{} : part.substr(at + 1);
    if (!seen.insert(option).second)
      return bad(text, std::string(option) + " is given twice", "give it once");
    bool known = true;
    if (set(grant.spec, option, value, known)) continue;
    return known ? bad(text, "\"" + std::string(value) + "\" is not possible for " + std::string(option))
                 : bad(text, "\"" + std::string(option) + "\" is unknown");
  }
  return grant;
}

const ProcessRecord* find_process(const State& state, std::string_view name_or_index) {
  const ProcessRecord* process = state.process(name_or_index);
  if (process == nullptr)
    if (const auto index = whole_number<std::uint32_t>(name_or_index)) process = state.process(*index);
  // A removal begins with revoking the process's own right.
  return process != nullptr && state.internal_right_of(process->index) != nullptr ? process : nullptr;
}

Error no_such_process(const std::string& operation, std::string_view name_or_index) {
  return {Errc::not_found, operation, "there is no process \"" + std::string(name_or_index) + "\"",
          "see pgrid ls"};
}

Result<RightRecord> find_right(const State& state, std::string_view ref_or_name) {
  const RightRecord* right = state.right_named(ref_or_name);
  const std::size_t dot = ref_or_name.find('.');
  if (right == nullptr && dot == std::string_view::npos && !is_name(std::string(ref_or_name)))
    return fail(Errc::invalid_argument, "right " + std::string(ref_or_name),
                "is neither SLOT.GENERATION nor a name");
  if (right == nullptr && dot != std::string_view::npos) {
    const auto slot = whole_number<std::uint32_t>(ref_or_name.substr(0, dot));
    const auto generation = whole_number<std::uint32_t>(ref_or_name.substr(dot + 1));
    if (!slot || !generation)
      return fail(Errc::invalid_argument, "right " + std::string(ref_or_name), "is not SLOT.GENERATION");
    right = state.right(*slot);
    if (right != nullptr && right->generation != *generation) right = nullptr;
  }
  if (right == nullptr)
    return fail(Errc::not_found, "right " + std::string(ref_or_name), "there is none", "see pgrid cap ls");
  return *right;
}

Result<void> check_right_name(const State& state, const std::string& name) {
  const std::string operation = "name a right \"" + name + "\"";
  if (!is_name(name))
    return fail(Errc::invalid_argument, operation, "that is not a name", "use 1 to 63 of a-z, 0-9 and -");
  if (state.right_named(name) != nullptr || state.process(name) != nullptr)
    return fail(Errc::already_exists, operation, "a right or a process has that name",
                "choose another with --as");
  return {};
}

Result<Holding> next_holding(const State& state, const ProcessRecord& holder, std::string name) {
  const std::string operation = "grant " + holder.name + " a right";
  if (!is_name(name))
    return fail(Errc::invalid_argument, operation, "\"" + name + "\" is not a name",
                "use 1 to 63 of a-z, 0-9 and -");
  std::uint32_t handle = abi::kFirstGrant;
  for (const RightRecord& right : state.held_by(holder.index)) {
    if (right.holding->name == name)
      return fail(Errc::already_exists, operation, "it holds one named \"" + name + "\"",
                  "choose another name with --as, or revoke that one");
    if (right.holding->handle == handle) ++handle;  // they come in the order of their handles
  }
  if (!abi::is_grant(handle))
    return fail(Errc::out_of_resources, operation,
                "it holds " + std::to_string(abi::kGrantsMax) + " rights already", "revoke one of them");
  return Holding{holder.index, holder.generation, handle, std::move(name)};
}

}  // namespace pgrid::control
