#include "control/capability/narrow.hpp"

#include <algorithm>
#include <string>

#include "abi/shared/geometry.hpp"

namespace pgrid::control {
namespace {

constexpr std::uint64_t kNsPerS = 1'000'000'000;

struct Bounds {
  const char* name;
  std::uint32_t min;
  std::uint32_t max;
};

/// One limit: what is asked, or what the right has. `floor`: less than this is nobody's to have.
Result<void> take(const Bounds& bounds, std::optional<std::uint32_t> asked) {
  if (!asked || (*asked >= bounds.min && *asked <= bounds.max)) return {};
  return fail(Errc::invalid_argument, bounds.name, std::to_string(*asked) + " is out of range",
              "give a number from " + std::to_string(bounds.min) + " to " + std::to_string(bounds.max));
}

std::unexpected<Error> wider(const char* name, std::uint64_t asked, std::uint64_t has) {
  return fail(Errc::not_permitted, name,
              std::to_string(asked) + " is more than the right has, " + std::to_string(has),
              "a derived right is never wider");
}

Result<void> check_ranges(const RightSpec& spec) {
  const std::pair<Bounds, std::optional<std::uint32_t>> all[] = {
      {{"permissions", 1, abi::kPermissionsAll}, spec.permissions},
      {{"rate", 0, kRateMax}, spec.rate},
      {{"burst", 1, kRateMax}, spec.burst},
      {{"in_flight_max", 1, 0xffff}, spec.in_flight_max},
      {{"body_max", 0, abi::kBodyMax}, spec.body_max},
      {{"deadline_max_us", 1, kDeadlineMaxUs}, spec.deadline_max_us}};
  for (const auto& [bounds, asked] : all)
    if (Result<void> taken = take(bounds, asked); !taken) return taken;
  return {};
}

/// No limit is above every limit.
bool is_above(std::uint64_t asked, std::uint64_t has) { return has != 0 && (asked == 0 || asked > has); }

}  // namespace

Result<std::uint64_t> end_of(const RightSpec& spec, std::uint64_t now_unix_ns) {
  if (spec.expires_unix_ns) {
    if (*spec.expires_unix_ns > now_unix_ns && *spec.expires_unix_ns - now_unix_ns <= kExpiresMaxS * kNsPerS)
      return *spec.expires_unix_ns;
    return fail(Errc::invalid_argument, "expires", "it is in the past, or more than ten years away");
  }
  if (!spec.expires_in_s) return 0;
  if (*spec.expires_in_s == 0 || *spec.expires_in_s > kExpiresMaxS)
    return fail(Errc::invalid_argument, "expires_in_s",
                std::to_string(*spec.expires_in_s) + " is out of range",
                "give seconds from 1 to " + std::to_string(kExpiresMaxS) + ", or leave it out");
  return now_unix_ns + *spec.expires_in_s * kNsPerS;
}

Result<RightRecord> narrowed(const RightRecord& parent, const RightSpec& spec, std::uint64_t now_unix_ns) {
  if (Result<void> ranges = check_ranges(spec); !ranges) return std::unexpected(ranges.error());
  const Result<std::uint64_t> end = end_of(spec, now_unix_ns);
  if (!end) return std::unexpected(end.error());
  RightRecord child;
  child.process = parent.process;
  child.label = spec.label.value_or(parent.label);
  child.permissions = spec.permissions.value_or(parent.permissions);
  child.rate = spec.rate.value_or(parent.rate);
  child.in_flight_max = static_cast<std::uint16_t>(spec.in_flight_max.value_or(parent.in_flight_max));
  child.body_max = static_cast<std::uint16_t>(spec.body_max.value_or(parent.body_max));
  child.deadline_max_us = spec.deadline_max_us.value_or(parent.deadline_max_us);
  child.expires_unix_ns = *end != 0 ? *end : parent.expires_unix_ns;
  child.parent = abi::RightRef{parent.slot, parent.generation};
  if ((child.permissions & ~parent.permissions) != 0)
    return fail(Errc::not_permitted, "permissions",
                permissions_text(child.permissions) + " is more than the right has, " +
                    permissions_text(parent.permissions),
                "a derived right is never wider");
  if (is_above(child.rate, parent.rate)) return wider("rate", child.rate, parent.rate);
  if (child.rate == 0 && spec.burst)
    return fail(Errc::invalid_argument, "burst", "a burst without a rate limits nothing",
                "give a rate as well");
  // Of its own rate, if it has asked for one; else its parent's.
  std::uint32_t burst = spec.rate ? std::max(child.rate / kBurstPart, kBurstDefaultMin) : parent.burst;
  if (parent.rate != 0) burst = std::min(burst, parent.burst);
  child.burst = child.rate == 0 ? 0 : spec.burst.value_or(burst);
  if (parent.rate != 0 && child.burst > parent.burst) return wider("burst", child.burst, parent.burst);
  if (child.in_flight_max > parent.in_flight_max)
    return wider("in_flight_max", child.in_flight_max, parent.in_flight_max);
  if (child.body_max > parent.body_max) return wider("body_max", child.body_max, parent.body_max);
  if (child.deadline_max_us > parent.deadline_max_us)
    return wider("deadline_max_us", child.deadline_max_us, parent.deadline_max_us);
  if (is_above(child.expires_unix_ns, parent.expires_unix_ns))
    return fail(Errc::not_permitted, "expires", "it would last longer than the right that it comes from",
                "a derived right is never wider");
  return child;
}

Result<RightRecord> clamped(const RightRecord& right, const RightSpec& spec, std::uint64_t now_unix_ns) {
  if (Result<void> ranges = check_ranges(spec); !ranges) return std::unexpected(ranges.error());
  const Result<std::uint64_t> end = end_of(spec, now_unix_ns);
  if (!end) return std::unexpected(end.error());
  RightRecord now = right;
  now.permissions &= spec.permissions.value_or(abi::kPermissionsAll);
  if (spec.rate && is_above(right.rate, *spec.rate)) now.rate = *spec.rate;
  if (now.rate != 0) {
    const std::uint32_t had = right.rate == 0 ? UINT32_MAX : right.burst;
    const std::uint32_t wanted = spec.burst.value_or(
        spec.rate && now.rate != right.rate ? std::max(now.rate / kBurstPart, kBurstDefaultMin) : had);
    now.burst = std::min(had, wanted);
  }
  now.in_flight_max = static_cast<std::uint16_t>(
      std::min<std::uint32_t>(now.in_flight_max, spec.in_flight_max.value_or(0xffff)));
  now.body_max = static_cast<std::uint16_t>(
      std::min<std::uint32_t>(now.body_max, spec.body_max.value_or(abi::kBodyMax)));
  now.deadline_max_us = std::min(now.deadline_max_us, spec.deadline_max_us.value_or(kDeadlineMaxUs));
  if (*end != 0 && is_above(now.expires_unix_ns, *end)) now.expires_unix_ns = *end;
  return now;
}

bool may_change(const State& state, const Maker& who, const RightRecord& right) {
  const ProcessRecord* own = state.process(who.process);
  if (own == nullptr || own->generation != who.generation) return false;
  if (right.process == who.process) return true;
  // A parent is older than its child, so this ends; the bound is for a log that is not ours.
  const RightRecord* one = &right;
  for (std::size_t steps = 0; one != nullptr && steps <= state.rights().size(); ++steps) {
    if (one->maker == who) return true;
    if (!one->parent) return false;
    const RightRecord* parent = state.right(one->parent->slot);
    one = parent != nullptr && parent->generation == one->parent->generation ? parent : nullptr;
  }
  return false;
}

}  // namespace pgrid::control
