#include "control/code/compile.hpp"

#include "control/code/check.hpp"
#include "drivers/wasm/engine.hpp"
#include "drivers/wasm/module.hpp"

namespace pgrid::control {

constexpr std::uint64_t kMemoryMax = 4ull << 30;  // bytes: what a limit may be at most; ours is checked below

Result<std::vector<std::byte>> compile_function(std::span<const std::byte> wasm, std::uint64_t memory_bytes) {
  if (auto fine = check_begin(wasm); !fine) return std::unexpected(fine.error());
  // One place in the pool: nothing is instantiated here, but the pool's bounds (tables, memories) refuse at deploy what
  // a worker could not hold.
  const auto engine = wasm::Engine::create({.instances = 1, .memory_max = kMemoryMax});
  if (!engine) return std::unexpected(engine.error());
  if (auto valid = wasm::Module::validate(*engine, wasm); !valid) return std::unexpected(valid.error());
  const auto module = wasm::Module::compile(*engine, wasm);
  if (!module) return std::unexpected(module.error());
  if (auto fine = check_imports(module->imports()); !fine) return std::unexpected(fine.error());
  if (auto fine = check_exports(module->exports(), memory_bytes); !fine) return std::unexpected(fine.error());
  return module->serialize();
}

}  // namespace pgrid::control
