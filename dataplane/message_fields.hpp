// Where the fields of a message-1 table lie: the FlatBuffers verifier for this one table, in one pass. It lets through
// exactly what the generated `Message::Verify` does, which is the oracle in tests and fuzz targets; looking each field up
// once instead of twice (verify, then read) halves what parsing a message costs (docs/decisions/0017).
//
// Layout: https://flatbuffers.dev/internals (root offset, table with a signed offset to its vtable, 16-bit field offsets).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "abi/wire/message_generated.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace pgrid::dataplane {

/// Offsets from the FlatBuffer's first byte; 0: the message has no such field. Every one that is set may be read.
struct MessageFields {
  std::uint32_t kind = 0;
  std::uint32_t to = 0;
  std::uint32_t reply_to = 0;
  std::uint32_t id = 0;
  std::uint32_t deadline_us = 0;
  std::uint32_t reason = 0;
  std::uint32_t rights = 0;  // a vector: its count, then its elements
  std::uint32_t body = 0;    // a vector
};

namespace detail {

/// One FlatBuffer whose first byte lies on a multiple of 4. Bounds first: nothing behind the span is read.
class TableReader {
 public:
  explicit TableReader(std::span<const std::uint8_t> content) noexcept
      : bytes_(content.data()), size_(static_cast<std::uint32_t>(content.size())) {}

  /// Finds table and vtable. False: they do not lie inside.
  [[nodiscard]] bool start() noexcept {
    if (!fits(0, 4)) return false;
    table_ = read<std::uint32_t>(0);
    if (table_ == 0 || !is_inside(table_, 4, 4)) return false;
    vtable_ = table_ - read<std::uint32_t>(table_);  // signed, but the difference is the same
    if (!is_inside(vtable_, 2, 2)) return false;
    vtable_size_ = read<std::uint16_t>(vtable_);
    return (vtable_size_ & 1) == 0 && fits(vtable_, vtable_size_);
  }
  /// A scalar or struct of `size` bytes. `at`: where it lies, or 0. False: not inside.
  [[nodiscard]] bool field(std::uint32_t slot, std::uint32_t size, std::uint32_t align, std::uint32_t& at) const noexcept {
    const std::uint32_t offset = slot < vtable_size_ ? read<std::uint16_t>(vtable_ + slot) : 0;
    at = offset == 0 ? 0 : table_ + offset;
    return offset == 0 || is_inside(at, size, align);
  }
  /// A vector of elements of `size` bytes. `at`: where its count lies, or 0.
  [[nodiscard]] bool vector(std::uint32_t slot, std::uint32_t size, std::uint32_t& at) const noexcept {
    std::uint32_t place = 0;
    return field(slot, 4, 4, place) && follow(place, size, at);
  }
  /// The same for a field that was found at `place`, or not (0).
  [[nodiscard]] bool follow(std::uint32_t place, std::uint32_t size, std::uint32_t& at) const noexcept {
    at = 0;
    if (place == 0) return true;
    const std::uint32_t distance = read<std::uint32_t>(place);
    if (distance == 0 || distance >= size_) return false;  // and so the sum below does not wrap
    const std::uint32_t begin = place + distance;
    if (!is_inside(begin, 4, 4)) return false;
    const std::uint32_t count = read<std::uint32_t>(begin);
    if (count >= size_ || !fits(begin, 4 + count * size)) return false;  // size_ * 24 fits 32 bits
    at = begin;
    return true;
  }

#if defined(__x86_64__)
  /// All fields at once, vectors where their offsets lie. False: look at them one by one, this says nothing. Takes the tables that
  /// senders make, with a vtable that names every field. Offsets are 16 bits, and so is each place while nothing saturates.
  [[nodiscard]] bool all_fields(MessageFields& fields) noexcept {
    using M = wire::Message;
    static_assert(M::VT_KIND == 4 && M::VT_TO == 6 && M::VT_REPLY_TO == 8 && M::VT_ID == 10 && M::VT_DEADLINE_US == 12 &&
                  M::VT_REASON == 14 && M::VT_RIGHTS == 16 && M::VT_BODY == 18 && sizeof(wire::Right) == 24 &&
                  sizeof(wire::Id) == 8);
    constexpr std::uint32_t kVtable = 20;
    if (size_ < kVtable + 4 || size_ > 0x7fff) return false;
    table_ = read<std::uint32_t>(0);
    if (table_ == 0 || (table_ & 3) != 0 || table_ > size_ - 4) return false;
    vtable_ = table_ - read<std::uint32_t>(table_);
    if ((vtable_ & 1) != 0 || vtable_ > size_ - kVtable) return false;
    vtable_size_ = read<std::uint16_t>(vtable_);
    if (vtable_size_ < kVtable || (vtable_size_ & 1) != 0 || !fits(vtable_, vtable_size_)) return false;

    const __m128i offsets = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes_ + vtable_ + 4));
    const __m128i none = _mm_cmpeq_epi16(offsets, _mm_setzero_si128());
    const __m128i at = _mm_adds_epu16(offsets, _mm_set1_epi16(static_cast<short>(table_)));
    const __m128i last = _mm_sub_epi16(_mm_set1_epi16(static_cast<short>(size_)), _mm_setr_epi16(1, 24, 24, 8, 4, 2, 4, 4));
    const __m128i outside = _mm_or_si128(_mm_subs_epu16(at, last), _mm_and_si128(at, _mm_setr_epi16(0, 3, 3, 0, 3, 1, 3, 3)));
    const __m128i wrong = _mm_andnot_si128(none, outside);
    if (_mm_movemask_epi8(_mm_cmpeq_epi16(wrong, _mm_setzero_si128())) != 0xffff) return false;

    static_assert(sizeof fields == 32 && offsetof(MessageFields, deadline_us) == 16 && offsetof(MessageFields, body) == 28);
    const __m128i places = _mm_andnot_si128(none, at);
    auto* out = reinterpret_cast<__m128i*>(&fields);
    _mm_storeu_si128(out, _mm_unpacklo_epi16(places, _mm_setzero_si128()));
    _mm_storeu_si128(out + 1, _mm_unpackhi_epi16(places, _mm_setzero_si128()));
    return true;
  }
#endif

 private:
  /// As flatbuffers::Verifier::Verify: a range as long as the whole buffer is none of its parts.
  [[nodiscard]] bool fits(std::uint32_t at, std::uint32_t length) const noexcept {
    return length < size_ && at <= size_ - length;
  }
  [[nodiscard]] bool is_inside(std::uint32_t at, std::uint32_t length, std::uint32_t align) const noexcept {
    return (at & (align - 1)) == 0 && fits(at, length);
  }
  template <typename T>
  [[nodiscard]] T read(std::uint32_t at) const noexcept {
    T value;
    std::memcpy(&value, bytes_ + at, sizeof value);
    return value;
  }

  const std::uint8_t* bytes_;
  std::uint32_t size_;
  std::uint32_t table_ = 0;
  std::uint32_t vtable_ = 0;
  std::uint32_t vtable_size_ = 0;
};

}  // namespace detail

/// False: the generated verifier refuses this. REQUIRES: `content` begins on a multiple of 4 and has at most
/// wire::kFlatBufferMax bytes.
[[nodiscard]] inline bool find_fields(std::span<const std::uint8_t> content, MessageFields& fields) noexcept {
  using M = wire::Message;
  detail::TableReader table(content);
#if defined(__x86_64__)
  if (table.all_fields(fields)) [[likely]]
    return table.follow(fields.rights, sizeof(wire::Right), fields.rights) && table.follow(fields.body, 1, fields.body);
#endif
  return table.start() && table.field(M::VT_KIND, 1, 1, fields.kind) &&
         table.field(M::VT_TO, sizeof(wire::Right), 4, fields.to) &&
         table.field(M::VT_REPLY_TO, sizeof(wire::Right), 4, fields.reply_to) &&
         table.field(M::VT_ID, sizeof(wire::Id), 1, fields.id) &&
         table.field(M::VT_DEADLINE_US, 4, 4, fields.deadline_us) &&
         table.field(M::VT_REASON, 2, 2, fields.reason) &&
         table.vector(M::VT_RIGHTS, sizeof(wire::Right), fields.rights) &&
         table.vector(M::VT_BODY, 1, fields.body);
}

}  // namespace pgrid::dataplane
