// What somebody asks of a right that is to be made or narrowed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pgrid::control {

inline constexpr std::uint32_t kDeadlineDefaultUs = 100'000;  // 100 ms (DESIGN section 4)
inline constexpr std::uint32_t kDeadlineMaxUs =
    60'000'000;                                          // a minute: an in-flight entry is held for as long
inline constexpr std::uint16_t kInFlightDefault = 1024;  // per poll core; a quarter of its table by default
inline constexpr std::uint32_t kRateMax = 0x7fff'ffff;
inline constexpr std::uint32_t kBurstPart = 10;        // default burst: what the rate gives in 100 ms,
inline constexpr std::uint32_t kBurstDefaultMin = 32;  // but at least one burst of the NIC
inline constexpr std::uint64_t kExpiresMaxS =
    10ull * 365 * 86'400;  // ten years: below 2^64 ns until the year 2544

/// What is left out gets its default: of a new right those above, of a derived one what its parent has.
struct RightSpec {
  std::optional<std::uint64_t> label;       // default 0, or the parent's
  std::optional<std::uint8_t> permissions;  // abi::kMaySend, ...; default all
  std::optional<std::uint32_t> rate;        // messages per second, 0: no limit; default: the process's
  std::optional<std::uint32_t> burst;
  std::optional<std::uint32_t> in_flight_max;
  std::optional<std::uint32_t> body_max;
  std::optional<std::uint32_t> deadline_max_us;
  std::optional<std::uint64_t> expires_in_s;     // from now; or
  std::optional<std::uint64_t> expires_unix_ns;  // at that time, which wins
};

/// "send,derive,carry", in any order, each at most once, at least one; `separator` stands between them.
[[nodiscard]] std::optional<std::uint8_t> parse_permissions(std::string_view text, char separator = ',');
[[nodiscard]] std::string permissions_text(std::uint8_t permissions);

}  // namespace pgrid::control
