#include "control/code/compile.hpp"

#include <malloc.h>

#include <optional>

#include "control/code/check.hpp"
#include "control/code/termination.hpp"
#include "control/code/verdict.hpp"
#include "drivers/wabt/reader.hpp"
#include "drivers/wasm/engine.hpp"
#include "drivers/wasm/module.hpp"

namespace pgrid::control {
namespace {

constexpr std::uint64_t kMemoryMax = 4ull << 30;  // bytes: what a limit may be at most; ours is checked below

wasm::ItemKind kind_of(code::Kind kind) {
  switch (kind) {
    case code::Kind::function:
      return wasm::ItemKind::function;
    case code::Kind::table:
      return wasm::ItemKind::table;
    case code::Kind::memory:
      return wasm::ItemKind::memory;
    case code::Kind::global:
      return wasm::ItemKind::global;
    default:
      return wasm::ItemKind::other;
  }
}

std::vector<wasm::Item> imports_of(const code::Module& module) {
  std::vector<wasm::Item> items;
  for (const code::Import& import : module.imports)
    items.push_back({.module = import.module,
                     .name = import.name,
                     .kind = kind_of(import.kind),
                     .type = import.type == code::kNothing ? "" : module.types[import.type].text});
  return items;
}

std::vector<wasm::Item> exports_of(const code::Module& module) {
  std::vector<wasm::Item> items;
  for (const code::Export& one : module.exports) {
    wasm::Item item{.name = one.name, .kind = kind_of(one.kind)};
    if (one.kind == code::Kind::function && one.index < module.functions.size())
      item.type = module.types[module.functions[one.index].type].text;
    if (one.kind == code::Kind::memory && one.index < module.memories.size())
      item.memory_min = module.memories[one.index].min * wasm::kPageBytes;
    items.push_back(std::move(item));
  }
  return items;
}

Result<void> check_all(std::span<const wasm::Item> imports, std::span<const wasm::Item> exports,
                       std::uint64_t memory_bytes) {
  if (auto fine = check_imports(imports); !fine) return fine;
  return check_exports(exports, memory_bytes);
}

/// The description's life ends here, before the compiler needs the memory.
Result<std::optional<std::string>> analyse(std::span<const std::byte> wasm, std::uint64_t memory_bytes,
                                           std::string& unread) {
  const Result<code::Module> module = code::read_module(wasm);
  if (!module) {
    unread = module.error().cause;
    return std::nullopt;
  }
  if (auto fine = check_all(imports_of(*module), exports_of(*module), memory_bytes); !fine)
    return std::unexpected(fine.error());
  if (auto fine = check_tables(module->tables); !fine) return std::unexpected(fine.error());
  return verdict_of(*module, wasm.size(), memory_bytes, find_termination(*module, memory_bytes)).dump();
}

}  // namespace

Result<CheckedFunction> check_function(std::span<const std::byte> wasm, std::uint64_t memory_bytes,
                                       Effort effort) {
  if (auto fine = check_begin(wasm); !fine) return std::unexpected(fine.error());
  // One place in the pool: nothing is instantiated here, but the pool's bounds (tables, memories) refuse at
  // deploy what a worker could not hold.
  const auto engine = wasm::Engine::create({.instances = 1, .memory_max = kMemoryMax});
  if (!engine) return std::unexpected(engine.error());
  if (auto valid = wasm::Module::validate(*engine, wasm); !valid) return std::unexpected(valid.error());
  std::string unread;
  auto verdict = analyse(wasm, memory_bytes, unread);
  if (!verdict) return std::unexpected(verdict.error());
  (void)::malloc_trim(0);  // what the description took is the compiler's to use
  CheckedFunction compiled;
  compiled.verdict =
      *verdict ? std::move(**verdict) : verdict_without_analysis(wasm.size(), memory_bytes, unread).dump();
  // What wabt could not read must at least compile, so that Wasmtime tells its imports and exports.
  if (effort == Effort::verify_only && *verdict) return compiled;
  const auto module = wasm::Module::compile(*engine, wasm);
  if (!module) return std::unexpected(module.error());
  // Again, as Wasmtime understands them: what runs is what Wasmtime read.
  if (auto fine = check_all(module->imports(), module->exports(), memory_bytes); !fine)
    return std::unexpected(fine.error());
  if (effort == Effort::verify_only) return compiled;
  auto image = module->serialize();
  if (!image) return std::unexpected(image.error());
  compiled.image = std::move(*image);
  return compiled;
}

Result<std::vector<std::byte>> compile_function(std::span<const std::byte> wasm, std::uint64_t memory_bytes) {
  auto compiled = check_function(wasm, memory_bytes, Effort::compile);
  if (!compiled) return std::unexpected(compiled.error());
  return std::move(compiled->image);
}

}  // namespace pgrid::control
