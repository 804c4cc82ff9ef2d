// What Wasmtime's errors and traps say, as plain text. Internal to drivers/wasm.
#pragma once

#include <wasmtime.h>

#include <string>

#include "drivers/wasm/instance.hpp"

namespace pgrid::wasm {

/// The sentence of an error, first line first, without line breaks. Takes and releases it.
[[nodiscard]] std::string take_text(wasmtime_error_t* error);

/// What stopped a guest, with the names of its functions: "unreachable code reached, in parse called by pg_activate".
/// Takes and releases both; one of them is nullptr.
[[nodiscard]] Stop take_stop(wasmtime_error_t* error, wasm_trap_t* trap);

}  // namespace pgrid::wasm
