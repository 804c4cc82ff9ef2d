// Numbers in network order within bytes of any alignment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace pgrid::dataplane {

[[nodiscard]] inline std::uint8_t load_u8(const std::byte* p) noexcept {
  return std::to_integer<std::uint8_t>(*p);
}

[[nodiscard]] inline std::uint16_t load_be16(const std::byte* p) noexcept {
  std::uint16_t value;
  std::memcpy(&value, p, sizeof value);
  return __builtin_bswap16(value);
}
[[nodiscard]] inline std::uint32_t load_native32(const std::byte* p) noexcept {
  std::uint32_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}
[[nodiscard]] inline std::uint64_t load_native64(const std::byte* p) noexcept {
  std::uint64_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}
inline void store_be16(std::byte* p, std::uint16_t value) noexcept {
  value = __builtin_bswap16(value);
  std::memcpy(p, &value, sizeof value);
}
inline void store_native16(std::byte* p, std::uint16_t value) noexcept {
  std::memcpy(p, &value, sizeof value);
}
inline void store_native32(std::byte* p, std::uint32_t value) noexcept {
  std::memcpy(p, &value, sizeof value);
}
inline void store_native64(std::byte* p, std::uint64_t value) noexcept {
  std::memcpy(p, &value, sizeof value);
}

}  // namespace pgrid::dataplane
