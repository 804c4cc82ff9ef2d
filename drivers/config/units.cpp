#include "drivers/config/units.hpp"

#include <charconv>
#include <span>

namespace pgrid::config {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Largest first, so that text is written with the largest unit that divides the value.
constexpr Unit kSizes[] = {{"GiB", 1u << 30}, {"MiB", 1u << 20}, {"KiB", 1u << 10}, {"B", 1}, {"", 1}};
constexpr Unit kDurations[] = {{"h", 3'600'000'000}, {"m", 60'000'000}, {"s", 1'000'000}, {"ms", 1'000}, {"us", 1}};

Result<std::uint64_t> parse(std::string_view text, std::span<const Unit> units, std::string_view what,
                            std::string_view remedy) {
  const std::string operation = '"' + std::string(text) + '"';
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::result_out_of_range)
    return fail(Errc::invalid_argument, operation, "the number is too large", std::string(remedy));
  if (error == std::errc{}) {
    const std::string_view suffix = text.substr(static_cast<std::size_t>(end - text.data()));
    if (number == 0 && suffix.empty()) return 0;
    for (const Unit& unit : units) {
      if (unit.name != suffix) continue;
      std::uint64_t value = 0;
      if (__builtin_mul_overflow(number, unit.factor, &value))
        return fail(Errc::invalid_argument, operation, "the number is too large", std::string(remedy));
      return value;
    }
  }
  return fail(Errc::invalid_argument, operation, "is not a " + std::string(what), std::string(remedy));
}

std::string write(std::uint64_t value, std::span<const Unit> units) {
  for (const Unit& unit : units)
    if (value >= unit.factor && value % unit.factor == 0)
      return std::to_string(value / unit.factor) + std::string(unit.name);
  return std::to_string(value) + std::string(units.back().name);
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  return parse(text, kSizes, "size", "write a whole number and B, KiB, MiB or GiB, as in 4MiB");
}

Result<std::uint64_t> parse_duration_us(std::string_view text) {
  return parse(text, kDurations, "duration", "write a whole number and us, ms, s, m or h, as in 1ms");
}

std::string size_text(std::uint64_t bytes) { return write(bytes, std::span(kSizes).first(4)); }
std::string duration_text(std::uint64_t us) { return write(us, kDurations); }

}  // namespace pgrid::config
