// Modules that Wasmtime's validator accepts: wabt must read them and the analysis must come to an end, with
// every exported function as an entry point. Nothing that is said of them is checked here;
// tests/control/code/termination_test.cpp does that.
#include <cstdlib>

#include "control/code/termination.hpp"
#include "control/code/verdict.hpp"
#include "drivers/wabt/reader.hpp"
#include "drivers/wasm/module.hpp"
#include "tests/fuzz/fuzz_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pgrid;
  static const wasm::Engine engine = [] {
    auto made = wasm::Engine::create({.instances = 1, .memory_max = 1u << 20});
    if (!made) std::abort();
    return std::move(*made);
  }();
  const test::Input input(data, size);
  if (!wasm::Module::validate(engine, input.bytes())) return 0;
  auto module = code::read_module(input.bytes());
  if (!module) return 0;
  for (code::Export& one : module->exports) one.name = "pg_activate";
  const auto entries = control::find_termination(*module, 1u << 20);
  test::require(!control::verdict_of(*module, size, 1u << 20, entries).dump().empty(),
                "a verdict that is no JSON");
  return 0;
}
