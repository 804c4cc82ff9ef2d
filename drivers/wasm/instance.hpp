// One incarnation of a function: its store, its linear memory, its entry points.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "drivers/wasm/engine.hpp"
#include "drivers/wasm/linker.hpp"

namespace pgrid::wasm {

/// Why a guest stopped before it returned.
struct Stop {
  enum class Why : std::uint8_t { trap, time_limit, memory, stack };
  Why why = Why::trap;
  std::string text;  // printable; with the names of the guest's functions where its module has them
};

/// A guest's linear memory at this moment; it may grow whenever the guest runs.
struct GuestMemory {
  std::byte* base = nullptr;
  std::uint64_t size = 0;  // bytes, at most 2^32

  /// The host's address of `length` guest bytes, or nullptr when they are not all inside.
  [[nodiscard]] std::byte* translate(std::uint32_t pointer, std::uint32_t length) const noexcept {
    // Subtract form: pointer + length would wrap at 2^32 for a hostile pair.
    if (length > size || pointer > size - length) return nullptr;
    return base + pointer;
  }
};

struct InstanceLimits {
  std::uint64_t memory_bytes = 16u << 20;  // memory.grow fails beyond it
  std::uint64_t ticks = 1;                 // epoch ticks for the start function
};

/// Move-only. Used by one thread at a time; host functions run on that thread, inside `call_*`.
class Instance {
 public:
  /// Fresh memory from the pool, start function run. `Stop` says why there is none.
  [[nodiscard]] static std::expected<Instance, Stop> create(const Engine& engine, const BoundModule& module,
                                                            const InstanceLimits& limits);
  Instance(Instance&&) noexcept;
  Instance& operator=(Instance&&) noexcept;
  ~Instance();

  /// Calls pg_activate; false: the guest stopped, and this instance must not be called again. After `ticks` epoch ticks
  /// it is stopped; `restart_limit` begins afresh.
  [[nodiscard]] bool activate(std::uint64_t ticks) noexcept;
  /// Calls pg_init if the module has one.
  [[nodiscard]] bool initialise(std::uint64_t ticks) noexcept;
  /// From within a host function: the guest may run `ticks` from now.
  void restart_limit(std::uint64_t ticks) noexcept;

  /// As GuestMemory::translate, at this moment. Memory only grows, so what was inside stays inside, and only a pointer
  /// beyond the size that was last seen costs a question to Wasmtime.
  [[nodiscard]] std::byte* translate(std::uint32_t pointer, std::uint32_t length) noexcept {
    std::byte* const at = seen_.translate(pointer, length);
    return at != nullptr ? at : memory().translate(pointer, length);
  }
  [[nodiscard]] GuestMemory memory() noexcept;
  /// Asks for the cache line that `activate` reads first.
  void fetch() const noexcept { __builtin_prefetch(parts_.get()); }
  /// Of the call that returned false.
  [[nodiscard]] Stop take_stop();

 private:
  struct Parts;
  explicit Instance(std::unique_ptr<Parts> parts) noexcept;
  std::unique_ptr<Parts> parts_;
  GuestMemory seen_;
};

}  // namespace pgrid::wasm
