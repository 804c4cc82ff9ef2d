// What a guest may call, and a module bound to it, ready to be instantiated in microseconds.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "drivers/base/result.hpp"
#include "drivers/wasm/engine.hpp"
#include "drivers/wasm/handles.hpp"
#include "drivers/wasm/module.hpp"

namespace pgrid::wasm {

/// One function that guests import: (i32 pointer, i32 length) -> i32. Called on the thread that called the guest.
struct HostFunction {
  std::string module;
  std::string name;
  std::int32_t (*call)(void* env, std::uint32_t pointer, std::uint32_t length) noexcept;
  void* env;
};

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
  [[nodiscard]] Result<void> define(const HostFunction& function);
  [[nodiscard]] Result<BoundModule> bind(const Module& module) const;

 private:
  explicit Linker(LinkerHandle handle) : handle_(std::move(handle)) {}
  LinkerHandle handle_;
};

}  // namespace pgrid::wasm
