// Why a right is dead. The numbers are those of promise-1 (abi/wire/promise-1.md, right_died).
#pragma once

#include <cstdint>

namespace pgrid::control {

enum class Why : std::uint8_t {
  revoked = 1,  // by somebody, or with one that it was derived from
  expired = 2,
  removed = 3,  // with the process that it leads to
  gave_up = 4,  // that process; the right is still there
  ended = 5,    // the instance that had it made
};

}  // namespace pgrid::control
