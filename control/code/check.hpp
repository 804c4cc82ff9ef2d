// Whether a module is a function: imports, exports, memory and tables. Pure: what a module has in, a refusal out.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "drivers/base/result.hpp"
#include "drivers/wabt/code.hpp"
#include "drivers/wasm/module.hpp"

namespace pgrid::control {

/// Before anything is parsed: whether these bytes begin as a core WebAssembly module.
[[nodiscard]] Result<void> check_begin(std::span<const std::byte> wasm);

/// Only promisegrid.send and promisegrid.receive, with their types. The refusal names the import, and what to use instead.
[[nodiscard]] Result<void> check_imports(std::span<const wasm::Item> imports);

/// `memory` and pg_activate, perhaps pg_init; and a memory that begins within `memory_bytes`. One that may grow further is
/// accepted: growing fails at the limit.
[[nodiscard]] Result<void> check_exports(std::span<const wasm::Item> exports, std::uint64_t memory_bytes);

/// Within what workers keep ready: few tables of a bounded size. One that may grow further is accepted: growing fails.
[[nodiscard]] Result<void> check_tables(std::span<const code::Bounds> tables);

}  // namespace pgrid::control
