// What the journal of the versions before the log held: one CBOR array for each of its records, one map for each change. Only
// read, when such a state directory becomes a log (migrate.hpp); what came after it (makers, tokens, supervision) it does not know.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "control/store/state.hpp"
#include "drivers/base/result.hpp"

namespace pgrid::control {

/// corrupt: not such an array, or a change of an unknown type or with a field that is wrong.
[[nodiscard]] Result<std::vector<Change>> decode_journal(std::span<const std::uint8_t> payload);

}  // namespace pgrid::control
