// Owners of Wasmtime's objects, named here so that no other folder needs its headers.
#pragma once

#include "drivers/base/unique_handle.hpp"

struct wasm_engine_t;
struct wasmtime_instance_pre;
struct wasmtime_linker;
struct wasmtime_module;
struct wasmtime_store;

namespace pgrid::wasm {

// Each calls the C library's own release function.
void release_engine(wasm_engine_t* engine) noexcept;
void release_module(wasmtime_module* module) noexcept;
void release_linker(wasmtime_linker* linker) noexcept;
void release_instance_pre(wasmtime_instance_pre* instance_pre) noexcept;
void release_store(wasmtime_store* store) noexcept;

using EngineHandle = UniqueHandle<wasm_engine_t, &release_engine>;
using ModuleHandle = UniqueHandle<wasmtime_module, &release_module>;
using LinkerHandle = UniqueHandle<wasmtime_linker, &release_linker>;
using InstancePreHandle = UniqueHandle<wasmtime_instance_pre, &release_instance_pre>;
using StoreHandle = UniqueHandle<wasmtime_store, &release_store>;

}  // namespace pgrid::wasm
