#include "control/ledger/segments.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

namespace pgrid::control {
namespace {

constexpr std::size_t kDigits = 20;  // of 2^64
constexpr std::string_view kEnding = ".log";

}  // namespace

std::string numbered_name(std::uint64_t number, std::string_view ending) {
  const std::string digits = std::to_string(number);
  return std::string(kDigits - digits.size(), '0') + digits + std::string(ending);
}

std::optional<std::uint64_t> numbered_name(const std::filesystem::path& path, std::string_view ending) {
  const std::string name = path.filename();
  if (name.size() != kDigits + ending.size() || !name.ends_with(ending)) return std::nullopt;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + kDigits, number);
  if (error != std::errc{} || end != name.data() + kDigits) return std::nullopt;
  return number;
}

std::filesystem::path segment_path(const std::filesystem::path& directory, std::uint64_t first) {
  return directory / numbered_name(first, kEnding);
}

Result<std::vector<Segment>> list_segments(const std::filesystem::path& directory) {
  std::vector<Segment> segments;
  std::error_code error;
  std::filesystem::directory_iterator entries(directory, error);
  for (const std::filesystem::directory_iterator end; !error && entries != end; entries.increment(error))
    if (const auto first = numbered_name(entries->path(), kEnding); first && *first != 0)
      segments.push_back({*first, entries->path()});
  if (error) return fail_errno("list " + directory.string(), error.value());
  std::sort(segments.begin(), segments.end(),
            [](const Segment& a, const Segment& b) { return a.first < b.first; });
  return segments;
}

}  // namespace pgrid::control
