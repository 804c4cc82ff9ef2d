#include "control/cbor/cbor.hpp"

#include "control/cbor/head.hpp"
#include "control/cbor/utf8.hpp"

namespace pgrid::control {
namespace {

constexpr std::uint8_t kFalse = 0xf4;
constexpr std::uint8_t kTrue = 0xf5;

}  // namespace

std::optional<std::uint64_t> CborReader::head(std::uint8_t major) {
  const CborHead head = read_cbor_head(rest_);
  if (head.major != major || head.info > 27 || !head.is_shortest()) return std::nullopt;
  rest_ = rest_.subspan(head.size);
  return head.value;
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
  put_cbor_head(bytes_, major, value);
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

}  // namespace pgrid::control
