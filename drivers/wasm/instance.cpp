#include "drivers/wasm/instance.hpp"

#include <wasmtime.h>

#include <string_view>
#include <utility>

#include "drivers/wasm/text.hpp"

namespace pgrid::wasm {

struct Instance::Parts {
  StoreHandle store;
  wasmtime_context_t* context = nullptr;
  wasmtime_func_t activate{};
  wasmtime_func_t initialise{};
  bool has_initialise = false;
  wasmtime_memory_t memory{};
  std::byte* memory_base = nullptr;  // never moves: the engine reserves the whole range
  wasmtime_error_t* error = nullptr;
  wasm_trap_t* trap = nullptr;

  ~Parts() {
    if (error != nullptr) wasmtime_error_delete(error);
    if (trap != nullptr) wasm_trap_delete(trap);
  }

  bool find(const wasmtime_instance_t& instance, std::string_view name, wasmtime_extern_kind_t kind,
            wasmtime_extern_t& item) {
    return wasmtime_instance_export_get(context, &instance, name.data(), name.size(), &item) && item.kind == kind;
  }
  bool call(const wasmtime_func_t& function, std::uint64_t ticks) noexcept {
    wasmtime_context_set_epoch_deadline(context, ticks);
    wasmtime_val_raw_t nothing;
    error = wasmtime_func_call_unchecked(context, &function, &nothing, 0, &trap);
    return error == nullptr && trap == nullptr;
  }
};

void release_store(wasmtime_store* store) noexcept { wasmtime_store_delete(store); }

Instance::Instance(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}
Instance::Instance(Instance&&) noexcept = default;
Instance& Instance::operator=(Instance&&) noexcept = default;
Instance::~Instance() = default;

std::expected<Instance, Stop> Instance::create(const Engine& engine, const BoundModule& module,
                                               const InstanceLimits& limits) {
  const auto stopped = [](std::string text) { return std::unexpected(Stop{Stop::Why::trap, std::move(text)}); };
  auto parts = std::make_unique<Parts>();
  parts->store.reset(wasmtime_store_new(engine.get(), nullptr, nullptr));
  if (!parts->store) return stopped("no memory for a store");
  constexpr std::int64_t kEngineDecides = -1;  // the pool's own bounds
  wasmtime_store_limiter(parts->store.get(), static_cast<std::int64_t>(limits.memory_bytes), kEngineDecides, 1,
                         kEngineDecides, 1);
  parts->context = wasmtime_store_context(parts->store.get());
  wasmtime_context_set_epoch_deadline(parts->context, limits.ticks);

  wasmtime_instance_t instance{};
  wasm_trap_t* trap = nullptr;
  wasmtime_error_t* error = wasmtime_instance_pre_instantiate(module.get(), parts->context, &instance, &trap);
  if (error != nullptr || trap != nullptr) return std::unexpected(wasm::take_stop(error, trap));

  wasmtime_extern_t item{};
  if (!parts->find(instance, "pg_activate", WASMTIME_EXTERN_FUNC, item)) return stopped("no export pg_activate");
  parts->activate = item.of.func;
  if (parts->find(instance, "pg_init", WASMTIME_EXTERN_FUNC, item)) {
    parts->initialise = item.of.func;
    parts->has_initialise = true;
  }
  if (!parts->find(instance, "memory", WASMTIME_EXTERN_MEMORY, item)) return stopped("no export memory");
  parts->memory = item.of.memory;
  parts->memory_base = reinterpret_cast<std::byte*>(wasmtime_memory_data(parts->context, &parts->memory));
  return Instance(std::move(parts));
}

bool Instance::activate(std::uint64_t ticks) noexcept { return parts_->call(parts_->activate, ticks); }

bool Instance::initialise(std::uint64_t ticks) noexcept {
  return !parts_->has_initialise || parts_->call(parts_->initialise, ticks);
}

void Instance::restart_limit(std::uint64_t ticks) noexcept {
  wasmtime_context_set_epoch_deadline(parts_->context, ticks);
}

GuestMemory Instance::memory() noexcept {
  seen_ = {parts_->memory_base, wasmtime_memory_data_size(parts_->context, &parts_->memory)};
  return seen_;
}

Stop Instance::take_stop() {
  if (parts_->error == nullptr && parts_->trap == nullptr) return {};
  return wasm::take_stop(std::exchange(parts_->error, nullptr), std::exchange(parts_->trap, nullptr));
}

}  // namespace pgrid::wasm
