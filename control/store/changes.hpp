// Changes as bytes: one CBOR array for each journal record, one map for each change. Fields are only ever
// added; a reader ignores those it does not know and refuses a type it does not know.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "control/store/state.hpp"
#include "drivers/base/result.hpp"

namespace pgrid::control {

[[nodiscard]] std::vector<std::uint8_t> encode(std::span<const Change> changes);
[[nodiscard]] Result<std::vector<Change>> decode(std::span<const std::uint8_t> payload);

}  // namespace pgrid::control
