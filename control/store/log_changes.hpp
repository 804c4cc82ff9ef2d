// Changes as the log and snapshots hold them: an array of changes, each an array of a number that says which
// it is and of its fields, in deterministic CBOR (RFC 8949 section 4.2.1). docs/decisions says why not maps.
//
// Fields and kinds are only ever appended. What an older version wrote has fewer fields; the rest is as if
// left out.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "control/store/files.hpp"
#include "control/store/state.hpp"
#include "drivers/base/result.hpp"

namespace pgrid::control {

[[nodiscard]] Bytes encode_changes(std::span<const Change> changes);

/// Everything is read and judged before the first change is visited, so a record counts wholly or not at all.
[[nodiscard]] Result<std::vector<Change>> decode_changes(std::span<const std::uint8_t> payload);

}  // namespace pgrid::control
