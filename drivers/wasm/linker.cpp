#include "drivers/wasm/linker.hpp"

#include <wasmtime.h>

#include <string>

#include "drivers/wasm/text.hpp"

namespace pgrid::wasm {
namespace {

static_assert(sizeof(wasmtime_val_raw_t) == kRawValueWords * sizeof(std::int32_t) && offsetof(wasmtime_val_raw_t, i32) == 0);

}  // namespace

void release_linker(wasmtime_linker* linker) noexcept { wasmtime_linker_delete(linker); }
void release_instance_pre(wasmtime_instance_pre* instance_pre) noexcept {
  wasmtime_instance_pre_delete(instance_pre);
}

Result<Linker> Linker::create(const Engine& engine) {
  LinkerHandle handle(wasmtime_linker_new(engine.get()));
  if (!handle) return fail(Errc::out_of_resources, "make the linker", "no memory");
  return Linker(std::move(handle));
}

Result<void> Linker::define(std::string_view module, std::string_view name, HostCallback* callback, void* env) {
  wasm_valtype_vec_t parameters;
  wasm_valtype_vec_t results;
  wasm_valtype_t* two[] = {wasm_valtype_new(WASM_I32), wasm_valtype_new(WASM_I32)};
  wasm_valtype_t* one[] = {wasm_valtype_new(WASM_I32)};
  wasm_valtype_vec_new(&parameters, 2, two);
  wasm_valtype_vec_new(&results, 1, one);
  wasm_functype_t* type = wasm_functype_new(&parameters, &results);  // takes both
  wasmtime_error_t* error = wasmtime_linker_define_func_unchecked(handle_.get(), module.data(), module.size(), name.data(),
                                                                  name.size(), type, callback, env, nullptr);
  wasm_functype_delete(type);
  if (error != nullptr)
    return fail(Errc::internal, "define " + std::string(module) + "." + std::string(name), take_text(error));
  return {};
}

Result<BoundModule> Linker::bind(const Module& module) const {
  // Entry points are called without a check of their type (DESIGN section 8), so it is made here, once.
  for (const Item& item : module.exports())
    if ((item.name == "pg_activate" || item.name == "pg_init") &&
        (item.kind != ItemKind::function || item.type != "() -> ()"))
      return fail(Errc::invalid_argument, "bind the module", "its export " + item.name + " is not a function () -> ()");
  wasmtime_instance_pre_t* instance_pre = nullptr;
  if (wasmtime_error_t* error = wasmtime_linker_instantiate_pre(handle_.get(), module.get(), &instance_pre))
    return fail(Errc::invalid_argument, "bind the module's imports", take_text(error));
  return BoundModule(InstancePreHandle(instance_pre));
}

}  // namespace pgrid::wasm
