#include "drivers/wabt/instruction_of.hpp"

namespace pgrid::code {
namespace {

using wabt::Opcode;

/// Both widths of an integer instruction.
#define PGRID_BOTH(Name) Opcode::I32##Name : case Opcode::I64##Name

Op op_of(Opcode opcode) {
  switch (static_cast<Opcode::Enum>(opcode)) {
    case PGRID_BOTH(Add):
      return Op::add;
    case PGRID_BOTH(Sub):
      return Op::sub;
    case PGRID_BOTH(Mul):
      return Op::mul;
    case PGRID_BOTH(DivU):
      return Op::div_u;
    case PGRID_BOTH(RemS):
      return Op::rem_s;
    case PGRID_BOTH(RemU):
      return Op::rem_u;
    case PGRID_BOTH(And):
      return Op::and_;
    case PGRID_BOTH(Or):
      return Op::or_;
    case PGRID_BOTH(Xor):
      return Op::xor_;
    case PGRID_BOTH(Shl):
      return Op::shl;
    case PGRID_BOTH(ShrS):
      return Op::shr_s;
    case PGRID_BOTH(ShrU):
      return Op::shr_u;
    case PGRID_BOTH(Clz):
    case PGRID_BOTH(Ctz):
    case PGRID_BOTH(Popcnt):
      return Op::count_bits;
    case PGRID_BOTH(Eqz):
      return Op::eqz;
    case PGRID_BOTH(Eq):
      return Op::eq;
    case PGRID_BOTH(Ne):
      return Op::ne;
    case PGRID_BOTH(LtS):
      return Op::lt_s;
    case PGRID_BOTH(LtU):
      return Op::lt_u;
    case PGRID_BOTH(GtS):
      return Op::gt_s;
    case PGRID_BOTH(GtU):
      return Op::gt_u;
    case PGRID_BOTH(LeS):
      return Op::le_s;
    case PGRID_BOTH(LeU):
      return Op::le_u;
    case PGRID_BOTH(GeS):
      return Op::ge_s;
    case PGRID_BOTH(GeU):
      return Op::ge_u;
    case Opcode::I32WrapI64:
      return Op::wrap;
    case Opcode::I64ExtendI32S:
      return Op::extend_s;
    case Opcode::I64ExtendI32U:
      return Op::extend_u;
    case PGRID_BOTH(Extend8S):
    case PGRID_BOTH(Extend16S):
    case Opcode::I64Extend32S:
      return Op::sign_extend;
    case PGRID_BOTH(Load8S):
    case PGRID_BOTH(Load8U):
    case PGRID_BOTH(Load16S):
    case PGRID_BOTH(Load16U):
    case Opcode::I64Load32S:
    case Opcode::I64Load32U:
      return Op::load;
    case Opcode::MemorySize:
      return Op::memory_size;
    default:
      return Op::other;
  }
}

std::uint32_t bits_of(Opcode opcode) {
  switch (static_cast<Opcode::Enum>(opcode)) {
    case PGRID_BOTH(Extend8S):
    case PGRID_BOTH(Load8S):
    case PGRID_BOTH(Load8U):
      return 8;
    case PGRID_BOTH(Extend16S):
    case PGRID_BOTH(Load16S):
    case PGRID_BOTH(Load16U):
      return 16;
    case Opcode::I64Extend32S:
    case Opcode::I64Load32S:
    case Opcode::I64Load32U:
      return 32;
    default:
      return 0;
  }
}

bool is_signed_load(Opcode opcode) {
  switch (static_cast<Opcode::Enum>(opcode)) {
    case PGRID_BOTH(Load8S):
    case PGRID_BOTH(Load16S):
    case Opcode::I64Load32S:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::uint8_t width_of(wabt::Type type) {
  switch (static_cast<wabt::Type::Enum>(type)) {
    case wabt::Type::I32:
      return 32;
    case wabt::Type::I64:
      return 64;
    case wabt::Type::Void:
      return 0;
    default:
      return 1;
  }
}

Instruction instruction_of(Opcode opcode) {
  Instruction in;
  in.op = op_of(opcode);
  for (int n = 1; n <= 3; ++n) in.pops += opcode.GetParamType(n) != wabt::Type::Void;
  in.gives = width_of(opcode.GetResultType());
  const bool reads = in.op == Op::load || in.op == Op::memory_size;
  in.width = reads ? in.gives : width_of(opcode.GetParamType1());
  in.a = bits_of(opcode);
  in.b = is_signed_load(opcode) ? 1 : 0;
  return in;
}

}  // namespace pgrid::code
