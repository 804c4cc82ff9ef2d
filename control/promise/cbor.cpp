#include "control/promise/cbor.hpp"

namespace pgrid::control {
namespace {

constexpr std::uint8_t kFalse = 0xf4;
constexpr std::uint8_t kTrue = 0xf5;
constexpr std::uint8_t kInline =
    24;  // below it the five low bits are the value; 24 to 27: 1, 2, 4, 8 bytes follow

}  // namespace

std::optional<std::uint64_t> CborReader::head(std::uint8_t major) {
  if (rest_.empty() || rest_[0] >> 5 != major) return std::nullopt;
  const std::uint8_t low = rest_[0] & 0x1f;
  if (low < kInline) {
    rest_ = rest_.subspan(1);
    return low;
  }
  if (low > kInline + 3) return std::nullopt;  // reserved, or of no fixed length
  const std::size_t size = std::size_t{1} << (low - kInline);
  if (rest_.size() < 1 + size) return std::nullopt;
  std::uint64_t value = 0;
  for (std::size_t i = 1; i <= size; ++i) value = value << 8 | rest_[i];
  const std::uint64_t least =
      size == 1 ? kInline : std::uint64_t{1} << (4 * size);  // what half as many bytes cannot say
  if (value < least) return std::nullopt;
  rest_ = rest_.subspan(1 + size);
  return value;
}

std::optional<std::span<const std::uint8_t>> CborReader::string(std::uint8_t major) {
  const std::optional<std::uint64_t> size = head(major);
  if (!size || *size > rest_.size()) return std::nullopt;
  const auto value = rest_.first(*size);
  rest_ = rest_.subspan(*size);
  return value;
}

std::optional<std::string_view> CborReader::text() {
  const auto bytes = string(kText);
  if (!bytes) return std::nullopt;
  const std::string_view value(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  if (!is_utf8(value)) return std::nullopt;
  return value;
}

std::optional<bool> CborReader::boolean() {
  if (rest_.empty() || (rest_[0] != kFalse && rest_[0] != kTrue)) return std::nullopt;
  const bool value = rest_[0] == kTrue;
  rest_ = rest_.subspan(1);
  return value;
}

CborWriter& CborWriter::head(std::uint8_t major, std::uint64_t value) {
  const auto first = static_cast<std::uint8_t>(major << 5);
  if (value < kInline) {
    bytes_.push_back(first | static_cast<std::uint8_t>(value));
    return *this;
  }
  const std::uint8_t power = value < 1u << 8                  ? 0
                             : value < 1u << 16               ? 1
                             : value < std::uint64_t{1} << 32 ? 2
                                                              : 3;
  bytes_.push_back(first | (kInline + power));
  for (int shift = (8 << power) - 8; shift >= 0; shift -= 8)
    bytes_.push_back(static_cast<std::uint8_t>(value >> shift));
  return *this;
}

CborWriter& CborWriter::bytes(std::span<const std::uint8_t> value) {
  head(2, value.size());
  bytes_.insert(bytes_.end(), value.begin(), value.end());
  return *this;
}

CborWriter& CborWriter::text(std::string_view value) {
  head(3, value.size());
  bytes_.insert(bytes_.end(), value.begin(), value.end());
  return *this;
}

CborWriter& CborWriter::boolean(bool value) {
  bytes_.push_back(value ? kTrue : kFalse);
  return *this;
}

CborWriter& CborWriter::append(const CborWriter& other) {
  bytes_.insert(bytes_.end(), other.bytes_.begin(), other.bytes_.end());
  return *this;
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto at = [&](std::size_t n) { return static_cast<std::uint8_t>(text[n]); };
    const std::uint8_t first = at(i);
    if (first < 0x80) {
      ++i;
      continue;
    }
    // How many bytes follow, and the least code point that needs as many (RFC 3629 section 4).
    const std::size_t more = first >= 0xc2 && first < 0xe0   ? 1
                             : first >= 0xe0 && first < 0xf0 ? 2
                             : first >= 0xf0 && first < 0xf5 ? 3
                                                             : 0;
    if (more == 0 || text.size() - i <= more) return false;
    std::uint32_t point = first & (0x3fu >> more);
    for (std::size_t n = 1; n <= more; ++n) {
      if ((at(i + n) & 0xc0) != 0x80) return false;
      point = point << 6 | (at(i + n) & 0x3f);
    }
    const bool surrogate = point >= 0xd800 && point < 0xe000;
    if (surrogate || point > 0x10ffff || (more == 2 && point < 0x800) || (more == 3 && point < 0x10000))
      return false;
    i += more + 1;
  }
  return true;
}

}  // namespace pgrid::control
