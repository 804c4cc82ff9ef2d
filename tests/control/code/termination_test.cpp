// Shows which functions are proved to end, that none runs longer than was proved, and that no function is
// proved that goes on: hand-written ones, and many random ones that are run in Wasmtime and counted.
#include "control/code/termination.hpp"

#include <gtest/gtest.h>

#include "drivers/wabt/reader.hpp"
#include "drivers/wasm/module.hpp"
#include "tests/control/code/fuel.hpp"
#include "tests/control/code/random_module.hpp"
#include "tests/guests/guests.hpp"

namespace pgrid::control {
namespace {

using tests::Measured;

constexpr std::uint64_t kMemory = 1u << 20;

EntryFinding find(const std::vector<std::byte>& wasm, const std::string& entry = "pg_activate") {
  const auto module = code::read_module(wasm);
  EXPECT_TRUE(module) << module.error().sentence();
  for (const EntryFinding& one : find_termination(*module, kMemory))
    if (one.name == entry) return one;
  ADD_FAILURE() << "no entry " << entry;
  return {};
}

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto wasm = wasm::module_of_text(text);
  EXPECT_TRUE(wasm) << wasm.error().sentence() << "\n" << text;
  return wasm ? *wasm : std::vector<std::byte>();
}

/// pg_activate with a few locals.
std::vector<std::byte> function(const std::string& body, const std::string& more = "") {
  return bytes_of(
      R"((module (import "promisegrid" "receive" (func $receive (param i32 i32) (result i32)))
    (memory (export "memory") 1))" +
      more + R"((func (export "pg_activate") (local $i i32) (local $j i32) (local $n i32) (local $l i64))" +
      body + "))");
}
const std::string kReceive = "(call $receive (i32.const 0) (i32.const 1088))";
const tests::Received kFull(100, 64);  // more messages than an activation gives

/// Proved; and what was measured is at most what was proved, and not less than a `slack`-th of it.
void expect_proved(const std::vector<std::byte>& wasm, std::uint64_t slack = 4) {
  const EntryFinding found = find(wasm);
  ASSERT_TRUE(found.is_proved) << found.reason << " at byte " << found.offset;
  const Measured measured = tests::run_with_fuel(wasm, "pg_activate", kFull, found.steps + 1);
  EXPECT_EQ(measured.end, Measured::End::returned);
  EXPECT_LE(measured.fuel, found.steps);
  EXPECT_LE(measured.fuel_of_message, found.steps_per_message);
  EXPECT_GE(measured.fuel * slack, found.steps) << "the bound is much too wide";
}
void expect_not_proved(const std::vector<std::byte>& wasm, const std::string& reason) {
  const EntryFinding found = find(wasm);
  EXPECT_FALSE(found.is_proved) << "after " << found.steps << " steps";
  EXPECT_NE(found.reason.find(reason), std::string::npos) << found.reason;
}

const std::string kCounts = "nobody checked", kNothing = "nothing that counts";

TEST(Proved, CountedLoops) {
  expect_proved(function(""), 8);
  expect_proved(
      function("(loop (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if 0 (i32.lt_u (local.get "
               "$i) (i32.const 100))))"));
  expect_proved(function(
      "(loop (br_if 0 (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100))))"));
  expect_proved(
      function("(local.set $i (i32.const -50)) (loop (br_if 0 (local.tee $i (i32.add (local.get $i) "
               "(i32.const 1)))))"));
  expect_proved(
      function("(local.set $i (i32.const 50)) (loop (br_if 0 (local.tee $i (i32.sub (local.get $i) "
               "(i32.const 1)))))"));
  expect_proved(
      function("(local.set $i (i32.const -50)) (loop (local.set $i (i32.add (local.get $i) (i32.const 3))) "
               "(br_if 0 (i32.lt_s (local.get $i) (i32.const 50))))"));
  expect_proved(
      function("(block (loop (br_if 1 (i32.ge_u (local.get $i) (i32.const 64))) (local.set $i (i32.add "
               "(local.get $i) (i32.const 4))) (br 0)))"));
  expect_proved(function(
      "(loop (br_if 0 (i64.lt_u (local.tee $l (i64.add (local.get $l) (i64.const 7))) (i64.const 700))))"));
  // Nested, the inner one bounded by the outer.
  expect_proved(
      function("(loop (local.set $j (i32.const 0)) (loop (br_if 0 (i32.lt_u (local.tee $j (i32.add "
               "(local.get $j) (i32.const 1))) (local.get $i))))"
               "(br_if 0 (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 40))))"));
  // Dividing comes to 0.
  expect_proved(
      function("(local.set $n (i32.const -1)) (loop (br_if 0 (local.tee $n (i32.div_u (local.get $n) "
               "(i32.const 10)))))"));
}

TEST(Proved, CheckedBounds) {
  const std::string loop =
      "(loop (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))";
  const std::string load = "(i32.load (i32.const 12))";
  const auto all = [&](const std::string& bound) {
    const EntryFinding found = find(function(bound + loop));
    EXPECT_TRUE(found.is_proved) << bound << ": " << found.reason;
  };
  all("(local.set $n (i32.and " + load + "(i32.const 1023)))");
  all("(local.set $n (i32.load8_u (i32.const 12)))");
  all("(local.set $n (i32.rem_u " + load + "(i32.const 100)))");
  all("(local.set $n " + load + ") (if (i32.gt_u (local.get $n) (i32.const 1024)) (then (return)))");
  all("(local.set $n (select " + load +
      "(i32.const 1024) (i32.const 0)))(if (i32.ge_u (local.get $n) (i32.const 1025)) (then (local.set $n "
      "(i32.const 9))))");
  all("(local.set $n " + load +
      ") (local.set $n (select (local.get $n) (i32.const 9) (i32.lt_u (local.get $n) (i32.const 9))))");
  expect_not_proved(function("(local.set $n " + load + ")" + loop), kCounts);
  expect_not_proved(function("(local.set $n " + load +
                             ") (if (i32.lt_s (local.get $n) (i32.const 0)) (then (return)))" + loop),
                    kCounts);
}

TEST(Proved, Draining) {
  expect_proved(function("(block (loop (br_if 1 (i32.le_s " + kReceive + "(i32.const 0))) (br 0)))"), 40);
  expect_proved(function("(loop (br_if 0 (i32.gt_s " + kReceive + "(i32.const 0))))"), 40);
  expect_proved(function("(block (loop (br_if 1 (i32.lt_s (call $next) (i32.const 64))) (br 0)))",
                         "(func $next (result i32) " + kReceive + ")"),
                40);
  // What comes again and again without a message is not drained.
  expect_not_proved(function("(loop (br_if 0 " + kReceive + "))"), "receive");
  expect_not_proved(function("(loop (br_if 0 (i32.ge_s " + kReceive + "(i32.const 0))))"), "receive");
  // A message received before the loop, or in another iteration, says nothing.
  expect_not_proved(
      function("(local.set $n " + kReceive + ") (loop (br_if 0 (i32.gt_s (local.get $n) (i32.const 0))))"),
      "");
  expect_not_proved(
      function("(local.set $n (i32.const 1)) (loop (if (i32.eqz (local.get $j)) (then (local.set $n " +
               kReceive +
               ") (local.set $j (i32.const 1)))) (br_if 0 (i32.gt_s (local.get $n) (i32.const 0))))"),
      "");
  expect_not_proved(function("(loop (if (i32.load (i32.const 0)) (then (br_if 1 (i32.gt_s " + kReceive +
                             "(i32.const 0)))) (else (br 1))))"),
                    "");
}

TEST(NotProved, LoopsThatGoOn) {
  expect_not_proved(function("(loop (br 0))"), kNothing);
  expect_not_proved(function("(loop (br_if 0 (i32.load (i32.const 0))))"), kNothing);
  // Over the target.
  expect_not_proved(
      function(
          "(loop (br_if 0 (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 3))) (i32.const 100))))"),
      kCounts);
  // Wraps around.
  expect_not_proved(
      function(
          "(loop (br_if 0 (i32.le_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const -1))))"),
      kCounts);
  expect_not_proved(function("(loop (br_if 0 (i32.le_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) "
                             "(i32.const 2147483647))))"),
                    kCounts);
  expect_not_proved(function("(local.set $i (i32.const 1)) (loop (br_if 0 (i32.lt_u (local.tee $i (i32.add "
                             "(local.get $i) (i32.const 1073741824))) (i32.const -2))))"),
                    kCounts);
  // Counts on one way only.
  expect_not_proved(function("(loop (if (i32.load (i32.const 0)) (then (local.set $i (i32.add (local.get $i) "
                             "(i32.const 1))))) (br_if 0 (i32.lt_u (local.get $i) (i32.const 100))))"),
                    kNothing);
  // An inner loop undoes it.
  expect_not_proved(
      function("(loop (local.set $j (i32.const 3)) (loop (local.set $i (i32.sub (local.get $i) (i32.const "
               "1))) (br_if 0 (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))"
               "(local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if 0 (i32.lt_s (local.get $i) "
               "(i32.const 100))))"),
      "");
  // br_table comes back one way.
  expect_not_proved(
      function("(block (loop (block (br_table 0 1 2 (i32.load (i32.const 0)))) (br_if 1 (i32.ge_u (local.tee "
               "$i (i32.add (local.get $i) (i32.const 1))) (i32.const 9))) (br 0)))"),
      kNothing);
  // Both change towards each other from who knows where.
  expect_not_proved(function("(local.set $i (i32.load (i32.const 0))) (local.set $j (i32.load (i32.const "
                             "4)))(loop (local.set $i (i32.add (local.get $i) (i32.const 1)))"
                             "(local.set $j (i32.sub (local.get $j) (i32.const 1))) (br_if 0 (i32.ne "
                             "(local.get $i) (local.get $j))))"),
                    kCounts);
}

TEST(Calls, RecursionIsNotProved) {
  expect_not_proved(function("(call $f)", "(func $f (call $f))"), "call itself");
  expect_not_proved(
      function("(call $f)", "(func $f (call $g)) (func $g (if (i32.load (i32.const 0)) (then (call $f))))"),
      "call itself");
  expect_not_proved(
      function(
          "(call $f)",
          "(table funcref (elem $f)) (type $t (func)) (func $f (call_indirect (type $t) (i32.const 0)))"),
      "call itself");
  EXPECT_FALSE(find(function("(call $f)", "(func $f (call $f))")).stack_bytes);
}

TEST(Calls, TablesHoldWhatSegmentsPutThere) {
  const std::string parts =
      "(type $t (func)) (type $u (func (param i32))) (func $good) (func $bad (param i32) (loop (br 0)))";
  const std::string call = "(call_indirect (type $t) (i32.load (i32.const 0)))";
  expect_not_proved(function("(call_indirect (type $u) (i32.const 1) (i32.const 0))",
                             parts + "(table funcref (elem $good $bad))"),
                    kNothing);
  EXPECT_TRUE(find(function(call, parts + "(table funcref (elem $good $bad))")).is_proved) << "another type";
  const std::string same =
      "(type $t (func)) (func $good) (func $bad (loop (br 0))) (elem declare func $bad) (table $a funcref "
      "(elem $good))";
  EXPECT_TRUE(find(function(call, same)).is_proved);
  expect_not_proved(function("(table.set $a (i32.const 0) (ref.func $bad))" + call, same), kNothing);
}

TEST(Calls, WhatCallersGive) {
  const std::string zero =
      "(func $zero (param $n i32) (local $i i32) (loop (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get "
      "$i) (i32.const 1))) (local.get $n)))))";
  expect_proved(function("(call $zero (i32.const 64)) (call $zero (i32.const 60))", zero));
  expect_not_proved(function("(call $zero (i32.const 64)) (call $zero (i32.load (i32.const 0)))", zero),
                    kCounts);
}

TEST(Steps, CopiesTakeTimeToo) {
  EXPECT_LT(find(function("(memory.fill (i32.const 0) (i32.const 0) (i32.const 64))")).steps, 20u);
  EXPECT_GT(find(function("(memory.fill (i32.const 0) (i32.const 0) (i32.load (i32.const 0)))")).steps,
            kMemory / 16);
}

TEST(Steps, AcrossATrap) {
  const auto wasm = function(
      "(loop (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100)))) "
      "(unreachable)");
  const EntryFinding found = find(wasm);
  ASSERT_TRUE(found.is_proved) << found.reason;
  EXPECT_LE(tests::run_with_fuel(wasm, "pg_activate", {}, 1'000'000).fuel, found.steps);
}

TEST(Guests, OfTheTests) {
  EXPECT_TRUE(find(tests::guest("echo")).is_proved);
  EXPECT_TRUE(find(tests::guest("logs")).is_proved);
  for (const char* name : {"start_loops", "init_loops"}) {
    const auto module = code::read_module(tests::guest(name));
    ASSERT_TRUE(module);
    bool all = true;
    for (const EntryFinding& one : find_termination(*module, kMemory)) all = all && one.is_proved;
    EXPECT_FALSE(all) << name;
  }
}

TEST(Random, NeverLongerThanProved) {
  constexpr std::uint64_t kFuel = 200'000;
  constexpr std::uint32_t kModules = 1000;
  std::mt19937 random(7);
  std::uint32_t proved = 0, compared = 0, endless = 0;
  for (std::uint32_t seed = 0; seed < kModules; ++seed) {
    const std::string text = tests::RandomModule(seed).text();
    const auto wasm = bytes_of(text);
    const EntryFinding found = find(wasm);
    proved += found.is_proved;
    for (int run = 0; run < 2; ++run) {
      tests::Received received;
      for (int i = 0; i < 60; ++i)
        received.push_back(run == 0 ? 64 : static_cast<std::int32_t>(random() % 70) - 3);
      const Measured measured = tests::run_with_fuel(wasm, "pg_activate", received, kFuel);
      if (measured.end == Measured::End::out_of_fuel) {
        ++endless;
        ASSERT_TRUE(!found.is_proved || found.steps >= kFuel)
            << "seed " << seed << ": " << found.steps << "\n"
            << text;
      } else if (found.is_proved) {
        ++compared;
        ASSERT_LE(measured.fuel, found.steps) << "seed " << seed << "\n" << text;
        ASSERT_LE(measured.fuel_of_message, found.steps_per_message) << "seed " << seed << "\n" << text;
      }
    }
  }
  // Else this test shows nothing.
  EXPECT_GT(proved, kModules / 20);
  EXPECT_GT(compared, kModules / 20);
  EXPECT_GT(endless, kModules / 20);
  RecordProperty("proved", static_cast<int>(proved));
  std::printf("proved %u of %u; %u runs compared, %u runs without end\n", proved, kModules, compared,
              endless);
}

}  // namespace
}  // namespace pgrid::control
