#include "control/identity/did_key.hpp"

#include <algorithm>

#include "control/token/multibase.hpp"

namespace pgrid::identity {
namespace {

constexpr std::string_view kPrefix = "did:key:z";
constexpr std::string_view kAlphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
constexpr std::size_t kBytes = 34;
constexpr std::size_t kLimbs = 9;  // of 32 bits: 34 bytes and some

constexpr auto kValues = [] {
  std::array<std::int8_t, 256> values{};
  for (auto& value : values) value = -1;
  for (std::size_t i = 0; i < kAlphabet.size(); ++i)
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::int8_t>(i);
  return values;
}();

}  // namespace

std::string did_of(const PublicKey& key) {
  std::array<std::uint8_t, kBytes> bytes{0xed, 0x01};
  std::copy(key.begin(), key.end(), bytes.begin() + 2);
  return std::string(kPrefix) + token::base58(bytes);
}

std::optional<PublicKey> key_of(std::string_view did) {
  // Every number that begins with 0xed01 takes 47 digits and no leading zero, so each key has one text.
  if (did.size() != kDidTextMax || !did.starts_with(kPrefix)) return std::nullopt;
  std::uint32_t limbs[kLimbs] = {};  // least significant first
  for (std::size_t i = kPrefix.size(); i < did.size();) {
    // Five digits at once: 58^5 fits in 32 bits.
    std::uint64_t carry = 0;
    std::uint64_t factor = 1;
    for (unsigned k = 0; k < 5 && i < did.size(); ++k, ++i) {
      const int value = kValues[static_cast<unsigned char>(did[i])];
      if (value < 0) return std::nullopt;
      carry = carry * 58 + static_cast<unsigned>(value);
      factor *= 58;
    }
    for (std::uint32_t& limb : limbs) {
      carry += limb * factor;
      limb = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
    if (carry != 0) return std::nullopt;
  }
  if (limbs[8] != 0xed01) return std::nullopt;
  PublicKey key;
  for (std::size_t i = 0; i < key.size(); ++i)
    key[key.size() - 1 - i] = static_cast<std::uint8_t>(limbs[i / 4] >> (8 * (i % 4)));
  return key;
}

}  // namespace pgrid::identity
