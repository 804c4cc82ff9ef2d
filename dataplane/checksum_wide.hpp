// The sum of checksum.hpp over 32 bytes at a time, for machines that have AVX2: asked once, at start. What it is worth:
// bench/micro/stages_bench.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>

namespace pgrid::dataplane::detail {

inline const bool kHasAvx2 = __builtin_cpu_supports("avx2") != 0;

inline constexpr std::size_t kWideFrom = 64;  // bytes; below, calling costs more than it saves

/// The last n bytes of 32: from kTail[n] on.
alignas(64) inline constexpr auto kTail = [] {
  std::array<std::uint8_t, 64> tail{};
  for (std::size_t i = 32; i < 64; ++i) tail[i] = 0xff;
  return tail;
}();

/// Adds 16-bit words in pairs. The instruction takes them for signed, so each is made smaller by 2^15 first: 16 of them a vector,
/// put right at the end. A lane of 32 bits has room for 2^15 vectors. REQUIRES: 32 <= length <= 2^20.
template <bool copy>
[[gnu::target("avx2"), gnu::noinline]] std::uint64_t sum_or_copy_wide(std::byte* to, const std::byte* from,
                                                                      std::size_t length) noexcept {
  const __m256i half = _mm256_set1_epi16(-0x8000);
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i first = _mm256_setzero_si256();
  __m256i second = _mm256_setzero_si256();
  const std::byte* const end = from + (length & ~std::size_t{31});
  for (; end - from >= 64; from += 64) {  // two sums, so that no addition waits for the one before it
    const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 32));
    if constexpr (copy) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), a);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 32), b);
      to += 64;
    }
    first = _mm256_add_epi32(first, _mm256_madd_epi16(_mm256_xor_si256(a, half), ones));
    second = _mm256_add_epi32(second, _mm256_madd_epi16(_mm256_xor_si256(b, half), ones));
  }
  std::uint64_t vectors = length / 32;
  if (from != end) {
    const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    if constexpr (copy) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), a);
      to += 32;
    }
    first = _mm256_add_epi32(first, _mm256_madd_epi16(_mm256_xor_si256(a, half), ones));
    from += 32;
  }
  std::uint64_t sum = 0;
  std::size_t rest = length & 31;
  if ((rest & 1) != 0) {  // an odd last byte counts as if a zero followed it
    --rest;
    sum = std::to_integer<std::uint64_t>(from[rest]);
    if constexpr (copy) to[rest] = from[rest];
  }
  if (rest != 0) {  // the last 32 bytes once more, less what was added
    const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + rest - 32));
    if constexpr (copy) _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + rest - 32), a);
    const __m256i mask = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kTail.data() + rest));
    const __m256i masked = _mm256_xor_si256(_mm256_and_si256(a, mask), half);
    first = _mm256_add_epi32(first, _mm256_madd_epi16(masked, ones));
    ++vectors;
  }
  first = _mm256_add_epi32(first, second);
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(first), _mm256_extracti128_si256(first, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1));
  return sum + vectors * (16u << 15) + static_cast<std::uint64_t>(std::int64_t{_mm_cvtsi128_si32(four)});
}

}  // namespace pgrid::dataplane::detail
#endif
