// Shows which modules are functions and how the others are refused: the sentence names what is wrong and what to do.
#include <gtest/gtest.h>

#include "control/code/compile.hpp"
#include "drivers/wasm/engine.hpp"
#include "drivers/wasm/module.hpp"
#include "tests/guests/guests.hpp"

namespace pgrid::control {
namespace {

constexpr std::uint64_t kMemory = 1u << 20;  // 16 pages

/// The refusal of a module in text form; empty when it is accepted.
std::string refusal(const std::string& wat, std::uint64_t memory = kMemory) {
  const auto wasm = wasm::module_of_text(wat);
  EXPECT_TRUE(wasm) << wasm.error().sentence();
  const auto image = compile_function(*wasm, memory);
  if (image) return "";
  EXPECT_EQ(image.error().code, Errc::invalid_argument);
  return image.error().sentence();
}
std::string refusal_of_bytes(const std::string& bytes) {
  const auto image = compile_function(std::as_bytes(std::span(bytes)), kMemory);
  return image ? "" : image.error().sentence();
}

#define EXPECT_SAYS(sentence, part) \
  EXPECT_NE((sentence).find(part), std::string::npos) << "it says: " << (sentence)

constexpr char kActivate[] = R"((func (export "pg_activate")))";
constexpr char kMemoryExport[] = R"((memory (export "memory") 1))";
std::string module(const std::string& parts) { return "(module " + parts + ")"; }
std::string whole(const std::string& more) { return module(more + kMemoryExport + kActivate); }

TEST(Check, SmallestFunction) { EXPECT_EQ(refusal(whole("")), ""); }

TEST(Check, BothImports) {
  EXPECT_EQ(refusal(whole(R"((import "promisegrid" "send" (func (param i32 i32) (result i32)))
                             (import "promisegrid" "receive" (func (param i32 i32) (result i32))))")), "");
}

TEST(Check, WasiIsNamedWithAWayOut) {
  const std::string said = refusal(whole(
      R"((import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32))))"));
  EXPECT_SAYS(said, "wasi_snapshot_preview1.fd_write");
  EXPECT_SAYS(said, "pg_log");
  const std::string other = refusal(whole(R"((import "wasi:clocks/monotonic-clock" "now" (func (result i64))))"));
  EXPECT_SAYS(other, "wasi:clocks/monotonic-clock.now");
  EXPECT_SAYS(other, "there is no WASI here");
}

TEST(Check, OtherImports) {
  EXPECT_SAYS(refusal(whole(R"((import "env" "puts" (func (param i32) (result i32))))")), "env.puts");
  EXPECT_SAYS(refusal(whole(R"((import "promisegrid" "grant" (func)))")), "promisegrid.grant");
  EXPECT_SAYS(refusal(whole(R"((import "promisegrid_2" "send" (func (param i32 i32) (result i32))))")),
              "promisegrid_2.send");
  EXPECT_SAYS(refusal(whole(R"((import "env" "g" (global i32)))")), "env.g");
  EXPECT_SAYS(refusal(module(std::string(R"((import "env" "memory" (memory 1)))") + kActivate)), "env.memory");
}

TEST(Check, ImportOfTheWrongType) {
  const std::string said = refusal(whole(R"((import "promisegrid" "send" (func (param i32) (result i32))))"));
  EXPECT_SAYS(said, "promisegrid.send as (i32) -> (i32)");
  EXPECT_SAYS(said, "(i32, i32) -> (i32)");
  EXPECT_SAYS(refusal(whole(R"((import "promisegrid" "receive" (global i32)))")), "promisegrid.receive");
}

TEST(Check, NamesArePrintable) {
  EXPECT_SAYS(refusal(whole(R"((import "env" "\1b[2J\0a" (func)))")), "env.?[2J?");
}

TEST(Check, Exports) {
  EXPECT_SAYS(refusal(module(kMemoryExport)), "does not export pg_activate");
  EXPECT_SAYS(refusal(module(kActivate)), "does not export its memory");
  EXPECT_SAYS(refusal(module(std::string(kMemoryExport) + R"((func (export "pg_activate") (param i32)))")),
              "pg_activate has type (i32) -> ()");
  EXPECT_SAYS(refusal(module(std::string(kMemoryExport) + R"((global (export "pg_activate") i32 (i32.const 0)))")),
              "pg_activate is not a function");
  EXPECT_SAYS(refusal(whole(R"((func (export "pg_init") (result i32) (i32.const 1)))")), "pg_init has type () -> (i32)");
  EXPECT_SAYS(refusal(module(std::string(kActivate) + R"((func (export "memory")))")), "does not export its memory");
}

TEST(Check, MemoryLimit) {
  const auto with_memory = [](const std::string& pages) {
    return module("(memory (export \"memory\") " + pages + ")" + kActivate);
  };
  EXPECT_EQ(refusal(with_memory("16")), "");
  EXPECT_SAYS(refusal(with_memory("17")), "1088 KiB, and the limit is 1024 KiB");
  EXPECT_EQ(refusal(with_memory("1 65536")), "");  // growing fails at the limit
  EXPECT_SAYS(refusal(with_memory("65536")), "the limit is 1024 KiB");
}

TEST(Check, NotAModule) {
  EXPECT_SAYS(refusal_of_bytes(""), "it is empty");
  EXPECT_SAYS(refusal_of_bytes("\x7f" "ELF and so on"), "not WebAssembly");
  EXPECT_SAYS(refusal_of_bytes("(module)"), "not WebAssembly");
  EXPECT_SAYS(refusal_of_bytes(std::string("\0asm\x0d\0\x01\0", 8)), "component");
  EXPECT_SAYS(refusal_of_bytes(std::string("\0asm\x02\0\0\0", 8)), "another version");
  EXPECT_SAYS(refusal_of_bytes(std::string("\0asm\x01\0\0\0\xff", 9)), "validate the module");
}

TEST(Check, LanguageBeyondOurs) {
  EXPECT_SAYS(refusal(whole("(memory 1)")), "validate the module");                       // two memories
  EXPECT_SAYS(refusal(module(R"((memory (export "memory") i64 1))" + std::string(kActivate))), "validate the module");
  EXPECT_SAYS(refusal(module(R"((memory (export "memory") 1 2 shared))" + std::string(kActivate))), "validate the module");
  EXPECT_NE(refusal(whole("(table 1 funcref) (table 1 funcref) (table 1 funcref)")), "");  // two tables fit the pool
}

TEST(Check, ImageRunsInAnEngineOfAnotherSize) {
  const auto image = compile_function(tests::guest("echo"), kMemory);
  ASSERT_TRUE(image);
  const auto engine = wasm::Engine::create({.instances = 3, .memory_max = 2u << 20});
  ASSERT_TRUE(engine);
  const auto module = wasm::Module::deserialize(*engine, *image);
  EXPECT_TRUE(module) << module.error().sentence();
}

}  // namespace
}  // namespace pgrid::control
