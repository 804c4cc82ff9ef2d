// What a guest may call, and a module bound to it, ready to be instantiated in microseconds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "drivers/base/result.hpp"
#include "drivers/wasm/engine.hpp"
#include "drivers/wasm/handles.hpp"
#include "drivers/wasm/module.hpp"

struct wasm_trap_t;
struct wasmtime_caller;
union wasmtime_val_raw;

namespace pgrid::wasm {

/// A function that guests import: (i32 pointer, i32 length) -> i32. Called on the thread that called the guest.
using HostCall = std::int32_t(void* env, std::uint32_t pointer, std::uint32_t length) noexcept;

/// What Wasmtime calls: arguments and results share an array of 16-byte values, of which an i32 is the first four bytes.
using HostCallback = wasm_trap_t*(void* env, wasmtime_caller* caller, wasmtime_val_raw* values, std::size_t count);
inline constexpr std::size_t kRawValueWords = 4;  // checked in linker.cpp, which sees the type

/// From Wasmtime's calling convention to ours. One for each host function: naming it here and not by a pointer saves every
/// call of a guest an indirect call.
template <HostCall* kCall>
wasm_trap_t* host_callback(void* env, wasmtime_caller*, wasmtime_val_raw* values, std::size_t) noexcept {
  auto* const words = reinterpret_cast<std::int32_t*>(values);
  words[0] = kCall(env, static_cast<std::uint32_t>(words[0]), static_cast<std::uint32_t>(words[kRawValueWords]));
  return nullptr;
}

/// A module whose imports are bound. Move-only; engine and the host functions' `env` must outlive it.
class BoundModule {
 public:
  BoundModule() = default;
  explicit BoundModule(InstancePreHandle handle) : handle_(std::move(handle)) {}
  [[nodiscard]] const wasmtime_instance_pre* get() const noexcept { return handle_.get(); }
  [[nodiscard]] explicit operator bool() const noexcept { return handle_ != nullptr; }

 private:
  InstancePreHandle handle_;
};

/// Move-only. After its functions are defined it is only read, so threads may bind at the same time.
class Linker {
 public:
  [[nodiscard]] static Result<Linker> create(const Engine& engine);
  /// Guests that import `name` from `module` call `kCall`, with this `env`.
  template <HostCall* kCall>
  [[nodiscard]] Result<void> define(std::string_view module, std::string_view name, void* env) {
    return define(module, name, &host_callback<kCall>, env);
  }
  [[nodiscard]] Result<BoundModule> bind(const Module& module) const;

 private:
  explicit Linker(LinkerHandle handle) : handle_(std::move(handle)) {}
  [[nodiscard]] Result<void> define(std::string_view module, std::string_view name, HostCallback* callback, void* env);
  LinkerHandle handle_;
};

}  // namespace pgrid::wasm
