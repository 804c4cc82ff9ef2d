#include "drivers/wasm/engine.hpp"

#include <wasmtime.h>

namespace pgrid::wasm {
namespace {

// Raise with any change to `configure_code`: stored code made before is then compiled again.
constexpr int kConfiguration = 1;

constexpr std::uint64_t kReservation = 4ull << 30;  // bytes: all that a 32-bit index reaches, so no bounds checks in code
constexpr std::uint64_t kGuard = 32u << 20;         // bytes: constant offsets below it need no check either

/// What compiled code depends on: compiler, target and the language that modules may use. The target is this machine's
/// CPU: code never travels between machines.
void configure_code(wasm_config_t* config) {
  wasmtime_config_strategy_set(config, WASMTIME_STRATEGY_CRANELIFT);
  wasmtime_config_cranelift_opt_level_set(config, WASMTIME_OPT_LEVEL_SPEED);
  wasmtime_config_epoch_interruption_set(config, true);
  wasmtime_config_consume_fuel_set(config, false);
  wasmtime_config_max_wasm_stack_set(config, kStackBytes);
  wasmtime_config_native_unwind_info_set(config, false);  // guests unwind by frame pointers; registering costs each load

  wasmtime_config_memory_may_move_set(config, false);
  wasmtime_config_memory_reservation_set(config, kReservation);
  wasmtime_config_memory_guard_size_set(config, kGuard);
  // Off: fresh memory is written, not mapped, so that with resident pools a rebuild makes no mmap (DESIGN section 8).
  wasmtime_config_memory_init_cow_set(config, false);

  // The language: what compilers for wasm32 emit today, and no more.
  wasmtime_config_wasm_simd_set(config, true);
  wasmtime_config_wasm_bulk_memory_set(config, true);
  wasmtime_config_wasm_multi_value_set(config, true);
  wasmtime_config_wasm_relaxed_simd_set(config, false);
  wasmtime_config_wasm_memory64_set(config, false);
  wasmtime_config_wasm_multi_memory_set(config, false);
  wasmtime_config_wasm_tail_call_set(config, false);
  wasmtime_config_wasm_wide_arithmetic_set(config, false);
  wasmtime_config_wasm_custom_page_sizes_set(config, false);
  wasmtime_config_wasm_stack_switching_set(config, false);
  wasmtime_config_shared_memory_set(config, false);
  wasmtime_config_gc_support_set(config, false);
}

/// Slots for instances, made once: a rebuild zeroes a slot's memory in place instead of giving pages back, which would
/// cost a system call and interrupt the other cores of the process.
void configure_pool(wasm_config_t* config, const EngineOptions& options) {
  wasmtime_pooling_allocation_config_t* pool = wasmtime_pooling_allocation_config_new();
  wasmtime_pooling_allocation_config_total_core_instances_set(pool, options.instances);
  wasmtime_pooling_allocation_config_total_memories_set(pool, options.instances);
  wasmtime_pooling_allocation_config_total_tables_set(pool, options.instances * kTables);
  wasmtime_pooling_allocation_config_max_memories_per_module_set(pool, 1);
  wasmtime_pooling_allocation_config_max_tables_per_module_set(pool, kTables);
  wasmtime_pooling_allocation_config_table_elements_set(pool, kTableElements);
  wasmtime_pooling_allocation_config_max_memory_size_set(pool, options.memory_max);
  wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(pool, options.memory_max);
  wasmtime_pooling_allocation_config_table_keep_resident_set(pool, kTableElements * sizeof(void*));
  // A slot that was used before is taken before a new one: what was once touched stays resident, so functions that come
  // and go would otherwise fill every slot there is (tests/e2e/test_rebuilds.py). A rebuild finds its own slot again.
  wasmtime_pooling_allocation_config_max_unused_warm_slots_set(pool, 0);
  wasmtime_pooling_allocation_strategy_set(config, pool);
  wasmtime_pooling_allocation_config_delete(pool);
}

/// The features that Cranelift chooses instructions by.
std::string cpu_text() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  std::string text = "x86_64";
  if (__builtin_cpu_supports("sse3")) text += "+sse3";
  if (__builtin_cpu_supports("ssse3")) text += "+ssse3";
  if (__builtin_cpu_supports("sse4.1")) text += "+sse41";
  if (__builtin_cpu_supports("sse4.2")) text += "+sse42";
  if (__builtin_cpu_supports("popcnt")) text += "+popcnt";
  if (__builtin_cpu_supports("avx")) text += "+avx";
  if (__builtin_cpu_supports("avx2")) text += "+avx2";
  if (__builtin_cpu_supports("fma")) text += "+fma";
  if (__builtin_cpu_supports("bmi")) text += "+bmi1";
  if (__builtin_cpu_supports("bmi2")) text += "+bmi2";
  if (__builtin_cpu_supports("lzcnt")) text += "+lzcnt";
  if (__builtin_cpu_supports("avx512f")) text += "+avx512f";
  if (__builtin_cpu_supports("avx512vl")) text += "+avx512vl";
  if (__builtin_cpu_supports("avx512dq")) text += "+avx512dq";
  if (__builtin_cpu_supports("avx512bitalg")) text += "+avx512bitalg";
  if (__builtin_cpu_supports("avx512vbmi")) text += "+avx512vbmi";
  return text;
#elif defined(__aarch64__)
  return "aarch64";
#else
  return "unknown";
#endif
}

}  // namespace

void release_engine(wasm_engine_t* engine) noexcept { wasm_engine_delete(engine); }

Result<Engine> Engine::create(const EngineOptions& options) {
  // Wasmtime ends the process when it cannot reserve the pool, so what can be known before is refused here: of 2^47
  // bytes of addresses the pool may have half.
  constexpr std::uint64_t kInstancesMax = (1ull << 46) / (kReservation + 2 * kGuard);
  if (options.instances == 0 || options.instances > kInstancesMax)
    return fail(Errc::invalid_argument, "make the WebAssembly engine",
                std::to_string(options.instances) + " instances do not fit the address space",
                "at most " + std::to_string(kInstancesMax));
  if (options.memory_max == 0 || options.memory_max > kReservation || options.memory_max % kPageBytes != 0)
    return fail(Errc::invalid_argument, "make the WebAssembly engine",
                std::to_string(options.memory_max) + " bytes of memory", "a multiple of 64 KiB, at most 4 GiB");
  wasm_config_t* config = wasm_config_new();
  configure_code(config);
  configure_pool(config, options);
  EngineHandle handle(wasm_engine_new_with_config(config));  // takes the configuration
  if (!handle) return fail(Errc::out_of_resources, "make the WebAssembly engine", "no memory");
  return Engine(std::move(handle));
}

void Engine::increment_epoch() const noexcept { wasmtime_engine_increment_epoch(handle_.get()); }

std::string engine_fingerprint() {
  return std::string("wasmtime ") + WASMTIME_VERSION + ", configuration " + std::to_string(kConfiguration) + ", " +
         cpu_text();
}

}  // namespace pgrid::wasm
