// The CBOR of promise-1 bodies and of the log, deterministic (RFC 8949 section 4.2.1): what is not in its one allowed form
// is not read. Numbers, byte strings, text, arrays, maps, true and false; nothing else. Why not a library:
// docs/decisions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace pgrid::control {

/// Reads one item after another from a body that it borrows. Each call gives nothing when the next item is
/// another one, is cut off, or is not in its shortest form; then nothing more is to be read.
class CborReader {
 public:
  explicit CborReader(std::span<const std::uint8_t> bytes) : rest_(bytes) {}

  [[nodiscard]] std::optional<std::uint64_t> number() { return head(kUnsigned); }
  /// Pairs that follow, or items.
  [[nodiscard]] std::optional<std::uint64_t> map() { return head(kMap); }
  [[nodiscard]] std::optional<std::uint64_t> array() { return head(kArray); }
  [[nodiscard]] std::optional<std::span<const std::uint8_t>> bytes() { return string(kBytes); }
  /// Well-formed UTF-8 (RFC 3629).
  [[nodiscard]] std::optional<std::string_view> text();
  [[nodiscard]] std::optional<bool> boolean();
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

 private:
  static constexpr std::uint8_t kUnsigned = 0;
  static constexpr std::uint8_t kBytes = 2;
  static constexpr std::uint8_t kText = 3;
  static constexpr std::uint8_t kArray = 4;
  static constexpr std::uint8_t kMap = 5;
  [[nodiscard]] std::optional<std::uint64_t> head(std::uint8_t major);
  [[nodiscard]] std::optional<std::span<const std::uint8_t>> string(std::uint8_t major);

  std::span<const std::uint8_t> rest_;
};

/// Writes items behind each other. The caller gives keys in rising order.
class CborWriter {
 public:
  CborWriter& number(std::uint64_t value) { return head(0, value); }
  CborWriter& map(std::uint64_t pairs) { return head(5, pairs); }
  CborWriter& array(std::uint64_t items) { return head(4, items); }
  CborWriter& bytes(std::span<const std::uint8_t> value);
  CborWriter& text(std::string_view value);
  CborWriter& boolean(bool value);
  /// What another writer wrote.
  CborWriter& append(const CborWriter& other);

  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] std::vector<std::uint8_t> take() { return std::move(bytes_); }

 private:
  CborWriter& head(std::uint8_t major, std::uint64_t value);
  std::vector<std::uint8_t> bytes_;
};

}  // namespace pgrid::control
