#include "drivers/wasm/module.hpp"

#include <wasmtime.h>

#include "drivers/wasm/text.hpp"

namespace pgrid::wasm {
namespace {

const std::uint8_t* octets(std::span<const std::byte> bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes.data());
}
std::string string_of(const wasm_name_t* name) { return name == nullptr ? "" : std::string(name->data, name->size); }

const char* name_of(wasm_valkind_t kind) {
  switch (kind) {
    case WASM_I32: return "i32";
    case WASM_I64: return "i64";
    case WASM_F32: return "f32";
    case WASM_F64: return "f64";
    default: return "reference or vector";
  }
}
std::string list_of(const wasm_valtype_vec_t* types) {
  std::string text = "(";
  for (std::size_t i = 0; i < types->size; ++i)
    text += std::string(i == 0 ? "" : ", ") + name_of(wasm_valtype_kind(types->data[i]));
  return text + ")";
}

void describe(const wasm_externtype_t* type, Item& item) {
  switch (wasm_externtype_kind(type)) {
    case WASM_EXTERN_FUNC: {
      item.kind = ItemKind::function;
      const wasm_functype_t* function = wasm_externtype_as_functype_const(type);
      item.type = list_of(wasm_functype_params(function)) + " -> " + list_of(wasm_functype_results(function));
      return;
    }
    case WASM_EXTERN_MEMORY: {
      item.kind = ItemKind::memory;
      const wasm_memorytype_t* memory = wasm_externtype_as_memorytype_const(type);
      item.memory_min = wasmtime_memorytype_minimum(memory) * kPageBytes;
      std::uint64_t pages = 0;
      if (wasmtime_memorytype_maximum(memory, &pages)) item.memory_max = pages * kPageBytes;
      return;
    }
    case WASM_EXTERN_GLOBAL: item.kind = ItemKind::global; return;
    case WASM_EXTERN_TABLE: item.kind = ItemKind::table; return;
    default: item.kind = ItemKind::other; return;
  }
}

}  // namespace

void release_module(wasmtime_module* module) noexcept { wasmtime_module_delete(module); }

Result<void> Module::validate(const Engine& engine, std::span<const std::byte> wasm) {
  if (wasmtime_error_t* error = wasmtime_module_validate(engine.get(), octets(wasm), wasm.size()))
    return fail(Errc::invalid_argument, "validate the module", take_text(error));
  return {};
}

Result<Module> Module::compile(const Engine& engine, std::span<const std::byte> wasm) {
  wasmtime_module_t* module = nullptr;
  if (wasmtime_error_t* error = wasmtime_module_new(engine.get(), octets(wasm), wasm.size(), &module))
    return fail(Errc::invalid_argument, "compile the module", take_text(error));
  return Module(ModuleHandle(module));
}

Result<Module> Module::deserialize(const Engine& engine, std::span<const std::byte> code) {
  wasmtime_module_t* module = nullptr;
  if (wasmtime_error_t* error = wasmtime_module_deserialize(engine.get(), octets(code), code.size(), &module))
    return fail(Errc::corrupt, "load compiled code", take_text(error), "deploy the function again");
  return Module(ModuleHandle(module));
}

Result<std::vector<std::byte>> Module::serialize() const {
  wasm_byte_vec_t bytes;
  if (wasmtime_error_t* error = wasmtime_module_serialize(handle_.get(), &bytes))
    return fail(Errc::internal, "write compiled code", take_text(error));
  const auto* first = reinterpret_cast<const std::byte*>(bytes.data);
  std::vector<std::byte> code(first, first + bytes.size);
  wasm_byte_vec_delete(&bytes);
  return code;
}

std::vector<Item> Module::imports() const {
  wasm_importtype_vec_t types;
  wasmtime_module_imports(handle_.get(), &types);
  std::vector<Item> items(types.size);
  for (std::size_t i = 0; i < types.size; ++i) {
    items[i].module = string_of(wasm_importtype_module(types.data[i]));
    items[i].name = string_of(wasm_importtype_name(types.data[i]));
    describe(wasm_importtype_type(types.data[i]), items[i]);
  }
  wasm_importtype_vec_delete(&types);
  return items;
}

std::vector<Item> Module::exports() const {
  wasm_exporttype_vec_t types;
  wasmtime_module_exports(handle_.get(), &types);
  std::vector<Item> items(types.size);
  for (std::size_t i = 0; i < types.size; ++i) {
    items[i].name = string_of(wasm_exporttype_name(types.data[i]));
    describe(wasm_exporttype_type(types.data[i]), items[i]);
  }
  wasm_exporttype_vec_delete(&types);
  return items;
}

Result<std::vector<std::byte>> module_of_text(std::string_view wat) {
  wasm_byte_vec_t bytes;
  if (wasmtime_error_t* error = wasmtime_wat2wasm(wat.data(), wat.size(), &bytes))
    return fail(Errc::invalid_argument, "read the module's text", take_text(error));
  const auto* first = reinterpret_cast<const std::byte*>(bytes.data);
  std::vector<std::byte> wasm(first, first + bytes.size);
  wasm_byte_vec_delete(&bytes);
  return wasm;
}

}  // namespace pgrid::wasm
