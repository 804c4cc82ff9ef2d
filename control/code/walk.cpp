#include "control/code/walk.hpp"

#include "control/code/arithmetic.hpp"
#include "control/code/walker.hpp"

namespace pgrid::control {

using code::Instruction;
using code::Op;

void Walk::call(std::uint32_t callee, std::uint32_t type_index) {
  const code::Type& type = module_.types[type_index];
  std::vector<Value> operands(type.parameters.size());
  for (std::size_t i = operands.size(); i-- > 0;) operands[i] = pop();
  if (callee != code::kNothing && dry_.empty() && around_.on_call) around_.on_call(callee, operands);
  const bool is_known = callee != code::kNothing && callee < around_.summaries.size();
  for (std::size_t i = 0; i < type.results.size(); ++i) {
    const std::uint8_t width = type.results[i];
    Value value = names_.unknown(width);
    if (is_known && i < around_.summaries[callee].results.size() && width != 1)
      value = names_.unknown(width, around_.summaries[callee].results[i]);
    const bool received = callee == around_.receive || (is_known && around_.summaries[callee].gives_received);
    if (callee != code::kNothing && received && width == 32 && value.symbol != kZero)
      names_.origins[value.symbol] = {Origin::Kind::receive, kZero};
    push(value);
  }
}

void Walk::step(const Instruction& in) {
  switch (in.op) {
    case Op::block:
    case Op::loop:
    case Op::if_:
      open(in);
      ++at_;
      if (!failed_ && !is_live_) skip();
      return;
    case Op::else_:
      return otherwise();
    case Op::end:
      return close(in);
    case Op::br:
      jump(in.a, state_);
      return skip();
    case Op::return_:
      jump(static_cast<std::uint32_t>(frames_.size() - 1), state_);
      return skip();
    case Op::unreachable:
      return skip();
    case Op::br_if: {
      const Value condition = pop();
      State taken = state_;
      if (!charge(2 * state_.size())) return;
      if (assume(taken, names_, condition, true)) jump(in.a, taken);
      ++at_;
      if (!assume(state_, names_, condition, false)) skip();
      return;
    }
    case Op::br_table: {
      (void)pop();
      const auto first = function_.targets.begin() + in.a;
      std::vector<std::uint32_t> depths(first, first + static_cast<std::ptrdiff_t>(in.b));
      if (!charge(depths.size())) return;
      std::ranges::sort(depths);
      depths.erase(std::ranges::unique(depths).begin(), depths.end());
      for (const std::uint32_t depth : depths)
        if (!failed_) jump(depth, state_);
      return skip();
    }
    default:
      break;
  }
  plain(in);
  ++at_;
}

void Walk::plain(const Instruction& in) {
  switch (in.op) {
    case Op::call:
      return call(in.a, module_.functions[in.a].type);
    case Op::call_indirect:
      (void)pop();
      return call(code::kNothing, in.a);
    case Op::drop:
      (void)pop();
      return;
    case Op::select: {
      const Value condition = pop(), y = pop(), x = pop();
      return push(select(x, y, condition, names_));
    }
    case Op::local_get:
      return push(state_.locals[in.a]);
    case Op::local_set:
      state_.locals[in.a] = pop();
      return;
    case Op::local_tee:
      if (!state_.stack.empty()) state_.locals[in.a] = state_.stack.back();
      return;
    case Op::constant:
      return push(Value::constant(in.b, in.width));
    case Op::load:
      (void)pop();
      return push(loaded(in, names_));
    case Op::memory_size:
      return push(names_.unknown(32, Arc::between(0, 65536, 32)));
    case Op::eqz:
    case Op::wrap:
    case Op::extend_s:
    case Op::extend_u:
    case Op::sign_extend:
    case Op::count_bits:
      return push(compute(in, pop(), names_));
    case Op::copies_bytes:
    case Op::copies_elements:
      return copies(in);
    case Op::other:
      for (int i = 0; i < in.pops; ++i) (void)pop();
      return push_unknown(in.gives);
    default: {
      const Value y = pop(), x = pop();
      return push(compute(in, x, y, names_));
    }
  }
}

void Walk::copies(const Instruction& in) {
  const Value count = pop();
  for (int i = 1; i < in.pops; ++i) (void)pop();
  std::uint64_t& most = result_.copied[static_cast<std::uint32_t>(at_)];
  if (dry_.empty()) most = std::max(most, count.arc.high(32));
  push_unknown(in.gives);
}

WalkResult walk(const code::Function& function, std::span<const Arc> parameters, const Surroundings& around,
                Work& work) {
  return Walk(function, around, work).run(parameters);
}

}  // namespace pgrid::control
