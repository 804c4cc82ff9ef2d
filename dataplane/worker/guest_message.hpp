// Fields of a message in a guest's memory (abi/guest/promisegrid.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "abi/guest/promisegrid.h"
#include "abi/shared/geometry.hpp"

namespace pgrid::worker {

static_assert(PG_BODY_MAX == abi::kBodyMax && sizeof(pg_message) == 64);
static_assert(PG_HANDLES_MAX == abi::kHandlesMax && PG_HANDLE_GRANTED(0) == abi::kFirstGrant && PG_GRANTS_MAX == abi::kGrantsMax);

/// A field of a message in guest memory, which need not be aligned. Field by field, not as a whole: a copy would read
/// wider than the guest just wrote, which stalls. Nobody else writes there meanwhile: guests share no memory.
template <typename T>
T load(const std::byte* message, std::size_t offset) noexcept {
  T value;
  std::memcpy(&value, message + offset, sizeof value);
  return value;
}
template <typename T>
void store(std::byte* message, std::size_t offset, T value) noexcept {
  std::memcpy(message + offset, &value, sizeof value);
}
#define PG_LOAD(message, field) load<decltype(pg_message::field)>(message, offsetof(pg_message, field))
#define PG_STORE(message, field, value) store<decltype(pg_message::field)>(message, offsetof(pg_message, field), value)

}  // namespace pgrid::worker
