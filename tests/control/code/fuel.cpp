#include "tests/control/code/fuel.hpp"

#include <gtest/gtest.h>
#include <wasmtime.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace pgrid::tests {
namespace {

struct Host {
  const Received* received = nullptr;
  std::size_t next = 0;
  std::uint32_t given = 0;
  std::uint64_t fuel_then = 0;
  std::uint64_t most = 0;

  void note(std::uint64_t fuel_now) {
    most = std::max(most, fuel_then - fuel_now);
    fuel_then = fuel_now;
  }
};

wasm_trap_t* receive(void* env, wasmtime_caller_t* caller, const wasmtime_val_t*, std::size_t,
                     wasmtime_val_t* results, std::size_t) {
  Host& host = *static_cast<Host*>(env);
  results[0].kind = WASMTIME_I32;
  results[0].of.i32 = 0;
  if (host.next >= host.received->size()) return nullptr;
  const std::int32_t result = (*host.received)[host.next++];
  if (result > 0 && host.given == 32) return nullptr;
  results[0].of.i32 = result;
  if (result > 0) {
    ++host.given;
    std::uint64_t fuel = 0;
    wasmtime_context_get_fuel(wasmtime_caller_context(caller), &fuel);
    host.note(fuel);
  }
  return nullptr;
}

wasm_trap_t* send(void*, wasmtime_caller_t*, const wasmtime_val_t*, std::size_t, wasmtime_val_t* results,
                  std::size_t) {
  results[0].kind = WASMTIME_I32;
  results[0].of.i32 = 0;
  return nullptr;
}

wasm_engine_t* engine_with_fuel() {
  static wasm_engine_t* engine = [] {
    wasm_config_t* config = wasm_config_new();
    wasmtime_config_consume_fuel_set(config, true);
    wasmtime_config_cranelift_opt_level_set(config, WASMTIME_OPT_LEVEL_NONE);
    return wasm_engine_new_with_config(config);
  }();
  return engine;
}

void define(wasmtime_linker_t* linker, const char* name, wasmtime_func_callback_t callback, void* env) {
  wasm_valtype_t* in[2] = {wasm_valtype_new(WASM_I32), wasm_valtype_new(WASM_I32)};
  wasm_valtype_t* out[1] = {wasm_valtype_new(WASM_I32)};
  wasm_valtype_vec_t parameters, results;
  wasm_valtype_vec_new(&parameters, 2, in);
  wasm_valtype_vec_new(&results, 1, out);
  wasm_functype_t* type = wasm_functype_new(&parameters, &results);
  wasmtime_error_t* error = wasmtime_linker_define_func(linker, "promisegrid", 11, name, std::strlen(name),
                                                        type, callback, env, nullptr);
  EXPECT_EQ(error, nullptr);
  wasm_functype_delete(type);
}

}  // namespace

Measured run_with_fuel(std::span<const std::byte> wasm, const char* entry, const Received& received,
                       std::uint64_t fuel) {
  Measured measured;
  Host host{.received = &received};
  wasmtime_module_t* module = nullptr;
  if (wasmtime_error_t* error = wasmtime_module_new(
          engine_with_fuel(), reinterpret_cast<const std::uint8_t*>(wasm.data()), wasm.size(), &module)) {
    wasmtime_error_delete(error);
    ADD_FAILURE() << "the module does not compile";
    return measured;
  }
  wasmtime_store_t* store = wasmtime_store_new(engine_with_fuel(), nullptr, nullptr);
  wasmtime_context_t* context = wasmtime_store_context(store);
  wasmtime_linker_t* linker = wasmtime_linker_new(engine_with_fuel());
  define(linker, "receive", &receive, &host);
  define(linker, "send", &send, &host);
  wasmtime_error_t* error = wasmtime_context_set_fuel(context, fuel);
  EXPECT_EQ(error, nullptr);
  host.fuel_then = fuel;
  wasmtime_instance_t instance;
  wasm_trap_t* trap = nullptr;
  error = wasmtime_linker_instantiate(linker, context, module, &instance, &trap);
  if (error == nullptr && trap == nullptr && entry != nullptr) {
    EXPECT_EQ(wasmtime_context_set_fuel(context, fuel), nullptr);
    host.fuel_then = fuel;
    wasmtime_extern_t item;
    EXPECT_TRUE(wasmtime_instance_export_get(context, &instance, entry, std::strlen(entry), &item));
    error = wasmtime_func_call(context, &item.of.func, nullptr, 0, nullptr, 0, &trap);
  }
  std::uint64_t left = 0;
  EXPECT_EQ(wasmtime_context_get_fuel(context, &left), nullptr);
  host.note(left);
  measured.fuel = fuel - left;
  measured.fuel_of_message = host.most;
  measured.received = host.given;
  if (error != nullptr || trap != nullptr) {
    measured.end = Measured::End::trapped;
    wasmtime_trap_code_t code = 0;
    if (trap != nullptr && wasmtime_trap_code(trap, &code) && code == WASMTIME_TRAP_CODE_OUT_OF_FUEL)
      measured.end = Measured::End::out_of_fuel;
  }
  if (error != nullptr) wasmtime_error_delete(error);
  if (trap != nullptr) wasm_trap_delete(trap);
  wasmtime_linker_delete(linker);
  wasmtime_store_delete(store);
  wasmtime_module_delete(module);
  return measured;
}

}  // namespace pgrid::tests
