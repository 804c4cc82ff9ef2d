// A WebAssembly module: validated and compiled here, or made from code that was compiled before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "drivers/base/result.hpp"
#include "drivers/wasm/engine.hpp"
#include "drivers/wasm/handles.hpp"

namespace pgrid::wasm {

enum class ItemKind { function, global, table, memory, other };

/// One import or export. Names are as the module has them: not printable for sure.
struct Item {
  std::string module;  // of an import
  std::string name;
  ItemKind kind = ItemKind::other;
  std::string type;                             // of a function: "(i32, i32) -> (i32)"
  std::uint64_t memory_min = 0;                 // of a memory, bytes
  std::optional<std::uint64_t> memory_max;      // of a memory, bytes; nothing: it does not say
};

/// Move-only. The engine must outlive it.
class Module {
 public:
  /// Whether these bytes are a module that our configuration accepts; cheap beside compiling.
  [[nodiscard]] static Result<void> validate(const Engine& engine, std::span<const std::byte> wasm);
  [[nodiscard]] static Result<Module> compile(const Engine& engine, std::span<const std::byte> wasm);
  /// REQUIRES: `code` is what `serialize` gave, unchanged: its bytes are trusted and would run whatever they are.
  [[nodiscard]] static Result<Module> deserialize(const Engine& engine, std::span<const std::byte> code);

  [[nodiscard]] Result<std::vector<std::byte>> serialize() const;
  [[nodiscard]] std::vector<Item> imports() const;
  [[nodiscard]] std::vector<Item> exports() const;
  [[nodiscard]] const wasmtime_module* get() const noexcept { return handle_.get(); }

 private:
  explicit Module(ModuleHandle handle) : handle_(std::move(handle)) {}
  ModuleHandle handle_;
};

/// The text format as module bytes, for tests.
[[nodiscard]] Result<std::vector<std::byte>> module_of_text(std::string_view wat);

}  // namespace pgrid::wasm
