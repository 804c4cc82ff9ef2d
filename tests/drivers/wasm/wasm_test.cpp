// Shows that the engine's guests stay within their limits, that compiled code survives being stored, and that bytes which
// are no module, or code for another engine, are an error and not a crash.
#include <gtest/gtest.h>

#include <cstring>

#include "drivers/wasm/engine.hpp"
#include "drivers/wasm/instance.hpp"
#include "drivers/wasm/linker.hpp"
#include "drivers/wasm/module.hpp"

namespace pgrid::wasm {
namespace {

constexpr EngineOptions kOptions{.instances = 2, .memory_max = 4u << 20};

struct Call {
  std::uint32_t pointer = 0;
  std::uint32_t length = 0;
  std::int32_t result = 0;
};
std::int32_t note(void* env, std::uint32_t pointer, std::uint32_t length) noexcept {
  auto& call = *static_cast<Call*>(env);
  call.pointer = pointer;
  call.length = length;
  return call.result;
}

class Wasm : public testing::Test {
 protected:
  Module compile(const std::string& wat) {
    const auto bytes = module_of_text(wat);
    EXPECT_TRUE(bytes) << bytes.error().sentence();
    auto module = Module::compile(engine_, *bytes);
    EXPECT_TRUE(module) << module.error().sentence();
    return std::move(*module);
  }
  std::expected<Instance, Stop> start(const Module& module, std::uint64_t memory = 1u << 20) {
    Linker linker = *Linker::create(engine_);
    EXPECT_TRUE(linker.define<&note>("host", "note", &call_));
    auto bound = linker.bind(module);
    EXPECT_TRUE(bound) << bound.error().sentence();
    bound_ = std::move(*bound);
    return Instance::create(engine_, bound_, {.memory_bytes = memory, .ticks = 1000});
  }

  Call call_;
  Engine engine_ = *Engine::create(kOptions);
  BoundModule bound_;
};

const std::string kMemory = R"((memory (export "memory") 1))";

TEST_F(Wasm, HostFunctionGetsItsArguments) {
  const Module module = compile(R"((module (import "host" "note" (func $note (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "pg_activate") (i32.store (i32.const 8) (call $note (i32.const -3) (i32.const 70000))))))");
  call_.result = -5;
  auto instance = start(module);
  ASSERT_TRUE(instance) << instance.error().text;
  ASSERT_TRUE(instance->activate(1000));
  EXPECT_EQ(call_.pointer, 0xffff'fffdu);
  EXPECT_EQ(call_.length, 70000u);
  std::int32_t stored = 0;
  std::memcpy(&stored, instance->memory().translate(8, 4), sizeof stored);
  EXPECT_EQ(stored, -5);
}

TEST_F(Wasm, TranslateChecksBothEnds) {
  std::byte bytes[16];
  const GuestMemory memory{bytes, sizeof bytes};
  EXPECT_EQ(memory.translate(0, 16), bytes);
  EXPECT_EQ(memory.translate(15, 1), bytes + 15);
  EXPECT_EQ(memory.translate(16, 0), bytes + 16);
  EXPECT_EQ(memory.translate(0, 17), nullptr);
  EXPECT_EQ(memory.translate(16, 1), nullptr);
  EXPECT_EQ(memory.translate(17, 0), nullptr);
  EXPECT_EQ(memory.translate(0xffff'ffff, 1), nullptr);
  EXPECT_EQ(memory.translate(0xffff'fff0, 0x20), nullptr);  // the sum wraps to 16
  EXPECT_EQ(memory.translate(8, 0xffff'ffff), nullptr);
}

TEST_F(Wasm, MemoryGrowsToItsLimitOnly) {
  const Module module = compile(R"((module (memory (export "memory") 1)
    (func (export "pg_activate") (block $full (loop $more
      (br_if $full (i32.eq (memory.grow (i32.const 1)) (i32.const -1))) (br $more))))))");
  auto instance = start(module, 5 * kPageBytes);
  ASSERT_TRUE(instance);
  EXPECT_EQ(instance->translate(kPageBytes, 1), nullptr);
  ASSERT_TRUE(instance->activate(100'000));
  EXPECT_NE(instance->translate(kPageBytes, 4 * kPageBytes), nullptr);
  EXPECT_EQ(instance->translate(kPageBytes, 4 * kPageBytes + 1), nullptr);
  EXPECT_EQ(instance->memory().size, 5 * kPageBytes);
}

TEST_F(Wasm, DeepRecursionStopsAtTheStack) {
  auto instance = start(compile("(module " + kMemory + R"((func $down (export "pg_activate") (call $down))))"));
  ASSERT_TRUE(instance);
  ASSERT_FALSE(instance->activate(100'000));
  const Stop stop = instance->take_stop();
  EXPECT_EQ(stop.why, Stop::Why::stack);
  EXPECT_TRUE(stop.text.starts_with("the call stack is exhausted, in down")) << stop.text;
  EXPECT_LT(stop.text.size(), 1024u);
}

TEST_F(Wasm, EpochStopsALoop) {
  auto instance = start(compile("(module " + kMemory + R"((func (export "pg_activate") (loop $ever (br $ever)))))"));
  ASSERT_TRUE(instance);
  engine_.increment_epoch();
  ASSERT_FALSE(instance->activate(0));  // no tick is left
  EXPECT_EQ(instance->take_stop().why, Stop::Why::time_limit);
}

TEST_F(Wasm, NamesInTrapsArePrintable) {
  auto instance = start(compile("(module " + kMemory +
                                R"((func $evil (@name "\1b]0;x\07\0aname") (unreachable))
                                   (func (export "pg_activate") (call $evil))))"));
  ASSERT_TRUE(instance);
  ASSERT_FALSE(instance->activate(1000));
  const std::string text = instance->take_stop().text;
  EXPECT_NE(text.find("?]0;x? name"), std::string::npos) << text;
  for (const char c : text) EXPECT_TRUE(c >= 0x20 && c < 0x7f);
}

TEST_F(Wasm, PoolIsBounded) {
  const Module module = compile("(module " + kMemory + R"((func (export "pg_activate"))))");
  auto first = start(module);
  ASSERT_TRUE(first);
  auto second = Instance::create(engine_, bound_, {});
  ASSERT_TRUE(second);
  const auto third = Instance::create(engine_, bound_, {});
  ASSERT_FALSE(third);
  EXPECT_FALSE(third.error().text.empty());
  *second = std::move(*first);  // one place is free again
  EXPECT_TRUE(Instance::create(engine_, bound_, {}));
}

TEST_F(Wasm, EntryPointsAreChecked) {
  const Linker linker = *Linker::create(engine_);
  EXPECT_FALSE(linker.bind(compile("(module " + kMemory + R"((func (export "pg_activate") (param i32))))")));
  EXPECT_FALSE(linker.bind(compile("(module " + kMemory + R"((func (export "pg_activate"))
                                     (func (export "pg_init") (result i32) (i32.const 0))))")));
  EXPECT_FALSE(linker.bind(compile(R"((module (import "elsewhere" "f" (func))))")));
}

TEST_F(Wasm, CodeSurvivesStorage) {
  const Module module = compile("(module " + kMemory + R"((func (export "pg_activate"))))");
  const auto code = module.serialize();
  ASSERT_TRUE(code);
  const Engine other = *Engine::create({.instances = 1, .memory_max = 64u << 20});
  EXPECT_TRUE(Module::deserialize(other, *code));
}

TEST_F(Wasm, BadCodeIsAnError) {
  const auto bytes = *module_of_text("(module " + kMemory + R"((func (export "pg_activate"))))");
  EXPECT_FALSE(Module::deserialize(engine_, bytes));
  EXPECT_FALSE(Module::deserialize(engine_, {}));
  const auto code = *Module::compile(engine_, bytes)->serialize();
  EXPECT_FALSE(Module::deserialize(engine_, std::span(code).first(code.size() / 2)));
  EXPECT_FALSE(Module::validate(engine_, std::span(bytes).first(bytes.size() - 1)));
  EXPECT_FALSE(Module::compile(engine_, std::span(bytes).first(bytes.size() - 1)));
  EXPECT_TRUE(Module::validate(engine_, bytes));
}

TEST(Engine, ImpossiblePoolsAreRefused) {
  EXPECT_FALSE(Engine::create({.instances = 0}));
  EXPECT_FALSE(Engine::create({.instances = 1u << 20}));
  EXPECT_FALSE(Engine::create({.instances = 1, .memory_max = 1000}));
  EXPECT_TRUE(Engine::create({.instances = 4096}));
}

}  // namespace
}  // namespace pgrid::wasm
