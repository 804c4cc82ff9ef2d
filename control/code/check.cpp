#include "control/code/check.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace pgrid::control {
namespace {

constexpr std::string_view kHostModule = "promisegrid";
constexpr std::string_view kHostType = "(i32, i32) -> (i32)";
constexpr std::string_view kEntryType = "() -> ()";
constexpr std::size_t kNameShown = 64;  // characters of a name in a sentence

std::unexpected<Error> refuse(std::string cause, std::string remedy) {
  return fail(Errc::invalid_argument, "the module is refused", std::move(cause), std::move(remedy));
}

/// A name from the module, safe to print.
std::string shown(std::string_view name) {
  std::string text(name.substr(0, kNameShown));
  for (char& c : text)
    if (c < 0x20 || c >= 0x7f) c = '?';
  return name.size() > kNameShown ? text + "..." : text;
}

/// What a module that was built for WASI can use here.
std::string instead_of_wasi(std::string_view name) {
  if (name.starts_with("fd_write") || name.find("print") != name.npos)
    return "there is no WASI here: to write a line use pg_log, which `pgrid logs` shows, and build without a C library (-nostdlib)";
  if (name.starts_with("proc_exit"))
    return "there is no WASI here: return from pg_activate, or trap, and build without a C library (-nostdlib)";
  return "there is no WASI here: use pg_receive_message and pg_send_message of abi/guest/promisegrid.h, and build without a C library (-nostdlib)";
}

std::string remedy_for(const wasm::Item& import) {
  const std::string_view module = import.module;
  if (module.starts_with("wasi_") || module.starts_with("wasi:")) return instead_of_wasi(import.name);
  if (import.kind == wasm::ItemKind::memory)
    return "define and export the memory in the module (without --import-memory)";
  if (module == "env" && import.kind == wasm::ItemKind::function)
    return "define that function in the module: a function can import only promisegrid.send and promisegrid.receive";
  return "a function can import only promisegrid.send and promisegrid.receive (abi/guest/promisegrid.h)";
}

const wasm::Item* find(std::span<const wasm::Item> items, std::string_view name) {
  const auto found = std::ranges::find(items, name, &wasm::Item::name);
  return found == items.end() ? nullptr : &*found;
}

Result<void> check_entry(const wasm::Item& item) {
  if (item.kind != wasm::ItemKind::function) return refuse("its export " + item.name + " is not a function", "");
  if (item.type != kEntryType)
    return refuse("its export " + item.name + " has type " + item.type,
                  "it must take nothing and return nothing");
  return {};
}

std::string kib(std::uint64_t bytes) { return std::to_string(bytes >> 10) + " KiB"; }

}  // namespace

Result<void> check_begin(std::span<const std::byte> wasm) {
  constexpr std::array<std::uint8_t, 8> kCore{0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00};
  constexpr std::array<std::uint8_t, 8> kComponent{0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00};
  if (wasm.empty()) return refuse("it is empty", "give a compiled .wasm file");
  const auto begins = [&](const std::array<std::uint8_t, 8>& with, std::size_t length) {
    return wasm.size() >= length && std::memcmp(wasm.data(), with.data(), length) == 0;
  };
  if (!begins(kCore, 4)) return refuse("it is not WebAssembly", "give a compiled .wasm file");
  if (begins(kComponent, 8))
    return refuse("it is a component", "build a core module: target wasm32-unknown-unknown, or clang --target=wasm32");
  if (!begins(kCore, 8)) return refuse("it is WebAssembly of another version", "version 1 is supported");
  return {};
}

Result<void> check_imports(std::span<const wasm::Item> imports) {
  for (const wasm::Item& import : imports) {
    const std::string name = shown(import.module) + "." + shown(import.name);
    const bool is_ours = import.module == kHostModule && (import.name == "send" || import.name == "receive");
    if (!is_ours) return refuse("it imports " + name, remedy_for(import));
    if (import.kind != wasm::ItemKind::function || import.type != kHostType)
      return refuse("it imports " + name + (import.type.empty() ? "" : " as " + import.type),
                    "its type is " + std::string(kHostType));
  }
  return {};
}

Result<void> check_exports(std::span<const wasm::Item> exports, std::uint64_t memory_bytes) {
  const wasm::Item* activate = find(exports, "pg_activate");
  if (activate == nullptr)
    return refuse("it does not export pg_activate", "mark the function with PG_EXPORT(\"pg_activate\")");
  if (auto fine = check_entry(*activate); !fine) return fine;
  if (const wasm::Item* initialise = find(exports, "pg_init"))
    if (auto fine = check_entry(*initialise); !fine) return fine;
  const wasm::Item* memory = find(exports, "memory");
  if (memory == nullptr || memory->kind != wasm::ItemKind::memory)
    return refuse("it does not export its memory", "export it under the name memory; linkers do that unless told not to");
  if (memory->memory_min > memory_bytes)
    return refuse("its memory begins with " + kib(memory->memory_min) + ", and the limit is " + kib(memory_bytes),
                  "deploy it with a larger --memory, or make it smaller");
  return {};
}

Result<void> check_tables(std::span<const code::Bounds> tables) {
  if (tables.size() > wasm::kTables)
    return refuse("it has " + std::to_string(tables.size()) + " tables", "a function may have " + std::to_string(wasm::kTables));
  for (const code::Bounds& table : tables)
    if (table.min > wasm::kTableElements)
      return refuse("a table of it begins with " + std::to_string(table.min) + " elements",
                    "a function may have " + std::to_string(wasm::kTableElements) + " in each");
  return {};
}

}  // namespace pgrid::control
