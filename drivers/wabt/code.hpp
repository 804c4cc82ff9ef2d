// A WebAssembly module in neutral terms: what analysis needs to know, and nothing of how wabt says it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pgrid::code {

inline constexpr std::uint32_t kNothing = ~0u;

/// Instructions that change integers or the flow of control have a name; all others are `other`, which takes
/// values and gives values that nobody knows.
enum class Op : std::uint8_t {
  other,
  unreachable,
  block,
  loop,
  if_,
  else_,
  end,
  br,
  br_if,
  br_table,
  return_,
  call,
  call_indirect,
  drop,
  select,
  local_get,
  local_set,
  local_tee,
  constant,
  add,
  sub,
  mul,
  div_u,
  rem_s,
  rem_u,
  and_,
  or_,
  xor_,
  shl,
  shr_s,
  shr_u,
  count_bits,  // clz, ctz, popcnt
  eqz,
  eq,
  ne,
  lt_s,
  lt_u,
  gt_s,
  gt_u,
  le_s,
  le_u,
  ge_s,
  ge_u,
  wrap,
  extend_s,
  extend_u,
  sign_extend,
  load,
  memory_size,
  copies_bytes,     // memory.copy, fill, init: as many as the value on top says
  copies_elements,  // table.copy, fill, init, grow: the same
};

/// 16 bytes, for a large module has a million. `a` and `b` by instruction:
///   block, loop, if_, else_, end: a = index in Function::blocks      br, br_if: a = depth
///   br_table: a = first of Function::targets, b = how many, the default last
///   call: a = function     call_indirect: a = type, b = table     local_*: a = local
///   constant: b = value    load: a = bits read, b = 1 when signed  sign_extend: a = bits
struct Instruction {
  Op op = Op::other;
  std::uint8_t width = 0;  // of integer operands, 32 or 64; of load and constant: of the result
  std::uint8_t pops = 0;   // of `other`
  std::uint8_t gives = 0;  // of `other`: 0 nothing, 32 or 64 an integer of that width, 1 something else
  std::uint32_t a = 0;
  std::uint64_t b = 0;
};
static_assert(sizeof(Instruction) == 16);

/// Where a block begins and ends, as indices of instructions. Index 0 is the function's body, which begins
/// before the first.
struct Block {
  std::uint32_t begin = 0;
  std::uint32_t otherwise = kNothing;  // the else
  std::uint32_t end = 0;
  std::uint32_t parameters = 0;
  std::uint32_t results = 0;
  std::uint32_t type = kNothing;  // index of the type when there is one
  std::uint8_t result_width = 0;  // without a type: of the one result, as Instruction::gives
  std::uint32_t offset = 0;       // in the file
};

/// Widths as in Instruction::gives.
struct Type {
  std::vector<std::uint8_t> parameters;
  std::vector<std::uint8_t> results;
  std::string text;  // "(i32, i32) -> (i32)": equal for equal types
};

struct Locals {
  std::uint32_t count = 0;
  std::uint8_t width = 0;
};

struct Function {
  std::uint32_t type = 0;
  std::string name;  // of the name section, as it stands there
  std::vector<Locals> locals;
  std::vector<Instruction> instructions;
  std::vector<Block> blocks;
  std::vector<std::uint32_t> targets;
  std::uint32_t offset = 0;
};

enum class Kind : std::uint8_t { function, table, memory, global, other };

struct Import {
  std::string module, name;
  Kind kind = Kind::other;
  std::uint32_t type = kNothing;  // of a function
};
struct Export {
  std::string name;
  Kind kind = Kind::other;
  std::uint32_t index = 0;
};
struct Bounds {
  std::uint64_t min = 0;
  std::optional<std::uint64_t> max;
};
struct Segment {
  std::uint32_t table = kNothing;  // of an active one
  std::vector<std::uint32_t> functions;
};

struct Module {
  std::vector<Type> types;
  std::vector<Import> imports;
  std::vector<Export> exports;
  std::vector<Function> functions;  // imported ones first, without code
  std::uint32_t imported_functions = 0;
  std::vector<Bounds> tables, memories;  // elements; pages of 64 KiB
  std::vector<Segment> elements;
  std::vector<std::uint32_t> referred;  // functions that ref.func names
  bool imports_tables = false;
  bool changes_tables = false;  // some instruction does
  std::uint64_t data_bytes = 0, code_bytes = 0;
  std::optional<std::uint32_t> start;
};

}  // namespace pgrid::code
