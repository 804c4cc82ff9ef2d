// Narrower rights: what a derived one may have, and what becomes of one that is narrowed. Pure.
#pragma once

#include <cstdint>

#include "control/capability/right_spec.hpp"
#include "control/store/state.hpp"
#include "drivers/base/result.hpp"

namespace pgrid::control {

/// A child of `parent` with the limits of `spec`; what is left out is as in the parent. It has neither slot
/// nor key yet. not_permitted: something would be wider. invalid_argument: out of range.
[[nodiscard]] Result<RightRecord> narrowed(const RightRecord& parent, const RightSpec& spec,
                                           std::uint64_t now_unix_ns);

/// The right with each limit the lower one of what it has and what `spec` says; its label stays.
[[nodiscard]] Result<RightRecord> clamped(const RightRecord& right, const RightSpec& spec,
                                          std::uint64_t now_unix_ns);

/// Whether this function may narrow and revoke the right: it had it made, or one that it was derived from, or
/// the right leads to its process.
[[nodiscard]] bool may_change(const State& state, const Maker& who, const RightRecord& right);

/// The end that `spec` asks for, in Unix nanoseconds; 0: none is asked for.
[[nodiscard]] Result<std::uint64_t> end_of(const RightSpec& spec, std::uint64_t now_unix_ns);

}  // namespace pgrid::control
