// Modules made of loops: whoever counts what, towards whatever, perhaps for ever. Nothing keeps them from
// ending, and nothing makes them.
#pragma once

#include <cstdint>
#include <random>
#include <string>

namespace pgrid::tests {

class RandomModule {
 public:
  explicit RandomModule(std::uint32_t seed) : random_(seed) {}

  /// In the text format, with pg_activate and what check_function asks for.
  std::string text() {
    std::string functions;
    for (int i = 0; i < 2; ++i) functions += function("$help" + std::to_string(i), i == 0);
    return R"((module (import "promisegrid" "receive" (func $receive (param i32 i32) (result i32)))
      (memory (export "memory") 1) (table funcref (elem $help0 $help1)) (type $helper (func (param i32) (result i32))))" +
           functions + function("$main", false) +
           R"((func (export "pg_activate") (drop (call $main (i32.const )" + number() + ")))))";
  }

 private:
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
  bool chance(std::uint32_t percent) { return below(100) < percent; }
  std::string number() {
    static constexpr const char* kOdd[] = {"0",          "1",  "2",  "3",   "4",          "-1",
                                           "-7",         "10", "16", "255", "2147483647", "-2147483648",
                                           "1073741824", "33", "64", "100"};
    return kOdd[below(std::size(kOdd))];
  }
  std::string local() { return "$v" + std::to_string(below(kLocals)); }
  std::string get(const std::string& name) { return "(local.get " + name + ")"; }
  std::string constant() { return "(i32.const " + number() + ")"; }

  std::string expression(int depth = 0) {
    switch (below(depth > 2 ? 3 : 12)) {
      case 0:
        return get(local());
      case 1:
        return constant();
      case 2:
        return "(i32.load8_u (i32.const 5))";
      case 3:
        return "(i32.and " + expression(depth + 1) + constant() + ")";
      case 4:
        return "(i32.add " + expression(depth + 1) + constant() + ")";
      case 5:
        return "(i32.sub " + expression(depth + 1) + expression(depth + 1) + ")";
      case 6:
        return "(i32.shr_u " + expression(depth + 1) + "(i32.const " + std::to_string(below(33)) + "))";
      case 7:
        return "(i32.rem_u " + expression(depth + 1) + "(i32.const " + std::to_string(1 + below(40)) + "))";
      case 8:
        return "(i32.mul " + expression(depth + 1) + constant() + ")";
      case 9:
        return "(select " + expression(depth + 1) + expression(depth + 1) + condition(depth + 1) + ")";
      case 10:
        return "(call $receive (i32.const 0) (i32.const 1088))";
      default:
        return condition(depth + 1);
    }
  }
  std::string comparison() {
    static constexpr const char* kAll[] = {"eq",   "ne",   "lt_s", "lt_u", "gt_s", "gt_u",
                                           "le_s", "le_u", "ge_s", "ge_u", "ne",   "lt_u"};
    return kAll[below(std::size(kAll))];
  }
  std::string condition(int depth = 0) {
    if (chance(10)) return "(i32.eqz " + condition(depth) + ")";
    if (chance(10) && depth < 3)
      return "(i32." + std::string(chance(50) ? "and" : "or") + condition(depth + 1) + condition(depth + 1) +
             ")";
    return "(i32." + comparison() + " " + expression(depth + 1) +
           (chance(60) ? constant() : expression(depth + 1)) + ")";
  }

  /// A loop over a counter of its own, as compilers write them; what is inside may spoil it.
  std::string loop(int depth) {
    const std::string counter = local();
    const std::string step = chance(80) ? std::to_string(1 + below(4)) : number();
    const std::string count = "(local.set " + counter + " (i32." + (chance(60) ? "add " : "sub ") +
                              get(counter) + "(i32.const " + step + ")))";
    const std::string bound = chance(70) ? constant() : "(i32.and " + get(local()) + "(i32.const 63))";
    const std::string test = "(i32." + comparison() + " " + get(counter) + bound + ")";
    const std::string begin = chance(80) ? "(local.set " + counter + constant() + ")" : "";
    const std::string inside = statements(depth + 1);
    switch (below(5)) {
      case 0:
        return begin + "(block (loop (br_if 1 " + test + ")" + inside + count + "(br 0)))";
      case 1:
        return begin + "(loop " + inside + count + "(br_if 0 " + test + "))";
      case 2:
        return begin + "(loop " + count + inside + "(br_if 0 " + test + "))";
      case 3:
        return std::string(
                   "(block (loop (br_if 1 (i32.le_s (call $receive (i32.const 0) (i32.const 1088)) "
                   "(i32.const ") +
               (chance(80) ? "0" : "-1") + ")))" + inside + "(br 0)))";
      default:
        return begin + "(loop (if " + test + "(then " + inside + count + "(br 1)) (else " + inside + ")))";
    }
  }

  std::string statement(int depth) {
    switch (below(depth >= 3 ? 3 : 8)) {
      case 0:
        return "(local.set " + local() + expression() + ")";
      case 1:
        return depth != 0 && chance(50)
                   ? "(br_if " + std::to_string(below(static_cast<std::uint32_t>(depth))) + condition() + ")"
                   : "(i32.store (i32.const 4) " + expression() + ")";
      case 2:
        return "(local.set " + local() + "(i32.add " + get(local()) + constant() + "))";
      case 3:
        return "(if " + condition() + "(then " + statements(depth + 1) + ") (else " + statements(depth + 1) +
               "))";
      case 4:
        return "(block " + statements(depth + 1) + ")";
      case 5:
        if (in_helper_) return loop(depth);
        return chance(70) ? "(local.set " + local() + "(call $help" + std::to_string(below(2)) + " " +
                                expression() + "))"
                          : "(local.set " + local() + "(call_indirect (type $helper) " + expression() +
                                "(i32.const " + std::to_string(below(2)) + ")))";
      default:
        return loop(depth);
    }
  }
  std::string statements(int depth) {
    std::string all;
    for (std::uint32_t n = 1 + below(3); n-- > 0;) all += statement(depth);
    return all;
  }

  std::string function(const std::string& name, bool simple) {
    in_helper_ = name != "$main";
    std::string locals;
    for (int i = 1; i < kLocals; ++i) locals += "(local $v" + std::to_string(i) + " i32)";
    return "(func " + name + " (param $v0 i32) (result i32)" + locals +
           (simple ? statement(0) : statements(0)) + expression() + ")";
  }

  static constexpr int kLocals = 4;
  std::mt19937 random_;
  bool in_helper_ = false;
};

}  // namespace pgrid::tests
