// Wasmtime's engine, configured in one place: what compiled code assumes is the same wherever it is made or run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "drivers/base/result.hpp"
#include "drivers/wasm/handles.hpp"

namespace pgrid::wasm {

inline constexpr std::uint64_t kPageBytes = 64u << 10;  // of WebAssembly memory
inline constexpr std::size_t kStackBytes = 512u << 10;    // of a guest's call stack (background/security.md, 6)
inline constexpr std::size_t kTableElements = 16384;      // function pointers in one table; 8 bytes each
inline constexpr std::uint32_t kTables = 2;               // per module; compilers make one

struct EngineOptions {
  std::uint32_t instances = 1;             // alive at once; each reserves 4 GiB of addresses, and touches what it uses
  std::uint64_t memory_max = 16u << 20;    // bytes: no instance's memory is or grows larger
};

/// Move-only. Shared by all threads of a process; must outlive everything made from it.
class Engine {
 public:
  [[nodiscard]] static Result<Engine> create(const EngineOptions& options);

  /// Moves time on by one tick for every guest of this engine. From any thread, also from a signal handler.
  void increment_epoch() const noexcept;

  [[nodiscard]] wasm_engine_t* get() const noexcept { return handle_.get(); }

 private:
  explicit Engine(EngineHandle handle) : handle_(std::move(handle)) {}
  EngineHandle handle_;
};

/// Names all that compiled code depends on: Wasmtime's version, our configuration, the CPU. Code with another fingerprint
/// must be compiled again.
[[nodiscard]] std::string engine_fingerprint();

}  // namespace pgrid::wasm
