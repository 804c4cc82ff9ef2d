// The walk over one function (walk.hpp), from inside: its open blocks, jumps, and what it keeps count of.
// Loops are in walk_loop.cpp, single instructions in walk.cpp.
#pragma once

#include <algorithm>
#include <utility>

#include "control/code/walk.hpp"

namespace pgrid::control {

inline constexpr std::size_t kBlocksMax = 4096;     // blocks within blocks
inline constexpr std::size_t kStatesMax = 250'000;  // values in states that wait for others, some 16 MB
inline constexpr std::uint64_t kWorkPerFunction = 1u
                                                  << 20;  // and so much again for each of its instructions:
inline constexpr std::uint64_t kWorkPerInstruction = 512;

/// A block that is open where the walk is.
struct OpenBlock {
  code::Op op = code::Op::block;
  std::uint32_t block = 0;
  std::size_t height = 0;          // of the operand stack below it
  std::size_t watched = 0;         // values watched below it
  std::optional<State> out;        // of all that has left by its end so far
  std::optional<State> otherwise;  // if_: where its else begins. loop: before its first iteration
  bool in_else = false;
  std::size_t kept = 0;  // values in those
  // Of a loop:
  int walks = 0;               // begun through its body
  std::size_t conditions = 0;  // before it
  Iterations seen;             // in the first
  Iterations iterations;       // in this one
};

/// One use: `run`. Bounded by `Work`, and by the states that it keeps.
class Walk {
 public:
  Walk(const code::Function& function, const Surroundings& around, Work& work)
      : function_(function),
        module_(around.module),
        around_(around),
        work_(work),
        own_work_{kWorkPerFunction + kWorkPerInstruction * function.instructions.size()} {
    result_.loops.resize(function.blocks.size());
    result_.summary.gives_received = true;
  }

  WalkResult run(std::span<const Arc> parameters) {
    if (!begin(parameters)) return std::move(result_);
    while (at_ < function_.instructions.size() && !frames_.empty()) {
      if (failed_ || !charge(1)) return std::move(result_);
      step(function_.instructions[at_]);
      result_.stack_max = std::max(result_.stack_max, state_.stack.size());
    }
    result_.finished = !failed_ && frames_.empty();
    result_.summary.gives_received = result_.summary.gives_received && returns_;
    return std::move(result_);
  }

 private:
  bool charge(std::size_t units) {
    failed_ = failed_ || !work_.take(units) || !own_work_.take(units);
    return !failed_;
  }
  bool keep(OpenBlock& frame, std::size_t values) {
    frame.kept += values;
    kept_ += values;
    failed_ = failed_ || kept_ > kStatesMax;
    return !failed_;
  }

  bool begin(std::span<const Arc> parameters) {
    OpenBlock& body = frames_.emplace_back();
    const code::Type& type = module_.types[function_.type];
    for (std::size_t i = 0; i < type.parameters.size(); ++i) {
      const std::uint8_t width = type.parameters[i];
      state_.locals.push_back(i < parameters.size() && width != 1 ? names_.unknown(width, parameters[i])
                                                                  : names_.unknown(width));
    }
    for (const code::Locals& locals : function_.locals) {
      if (!charge(locals.count) || !keep(body, locals.count)) return false;
      const Value zero = locals.width == 1 ? names_.unknown(1) : Value::constant(0, locals.width);
      state_.locals.insert(state_.locals.end(), locals.count, zero);
    }
    return true;
  }

  // --- the operand stack

  Value pop() {
    if (state_.stack.empty()) {  // cannot be: the module is valid
      failed_ = true;
      return {.width = 1};
    }
    Value top = state_.stack.back();
    state_.stack.pop_back();
    return top;
  }
  void push(const Value& value) { state_.stack.push_back(value); }
  void push_unknown(std::uint8_t width) {
    if (width != 0) push(names_.unknown(width));
  }

  // --- blocks

  [[nodiscard]] const code::Block& block_of(const OpenBlock& frame) const {
    return function_.blocks[frame.block];
  }

  [[nodiscard]] std::size_t results_of(const OpenBlock& frame) const {
    if (frame.block == 0) return module_.types[function_.type].results.size();
    return block_of(frame).results;
  }

  void open(const code::Instruction& in) {
    if (frames_.size() >= kBlocksMax) {
      failed_ = true;
      return;
    }
    const code::Block& block = function_.blocks[in.a];
    OpenBlock frame;
    frame.op = in.op;
    frame.block = in.a;
    if (in.op == code::Op::if_) {
      const Value condition = pop();
      frame.otherwise = state_;
      if (!charge(2 * state_.size()) || !keep(frame, state_.size())) return;
      if (!assume(*frame.otherwise, names_, condition, false)) frame.otherwise.reset();
      is_live_ = assume(state_, names_, condition, true);
    }
    if (state_.stack.size() < block.parameters) {
      failed_ = true;
      return;
    }
    frame.height = state_.stack.size() - block.parameters;
    frame.watched = state_.watched.size();
    frames_.push_back(std::move(frame));
    if (in.op == code::Op::loop) enter_loop(block);
  }

  /// Which locals the loop changes, found by reading its body.
  void enter_loop(const code::Block& block);

  /// The state at the loop's header: what it changes is new each time, and lies where the first walk has
  /// shown.
  void begin_iteration(OpenBlock& frame);

  void close(const code::Instruction& in) {
    OpenBlock& frame = frames_.back();
    if (frame.op == code::Op::loop) return close_loop();
    if (is_live_) leave(frames_.size() - 1, state_);
    if (frame.op == code::Op::if_ && !frame.in_else && frame.otherwise &&
        block_of(frame).otherwise == code::kNothing) {
      const State otherwise = std::move(*frame.otherwise);
      leave(frames_.size() - 1, otherwise);
    }
    if (failed_) return;
    is_live_ = frame.out.has_value();
    if (is_live_) state_ = std::move(*frame.out);
    if (in.a == 0 && is_live_) end_function();
    pop_frame();
    ++at_;
    if (!is_live_) skip();
  }

  void close_loop();

  void pop_frame() {
    kept_ -= frames_.back().kept;
    frames_.pop_back();
  }

  void otherwise() {
    OpenBlock& frame = frames_.back();
    if (is_live_) leave(frames_.size() - 1, state_);
    frame.in_else = true;
    is_live_ = frame.otherwise.has_value();
    if (is_live_) state_ = *frame.otherwise;
    if (failed_) return;
    ++at_;
    if (!is_live_) skip();
  }

  /// Nothing comes this way: on to where something else may.
  void skip() {
    is_live_ = false;
    if (frames_.empty()) return;
    const OpenBlock& frame = frames_.back();
    const code::Block& block = block_of(frame);
    const bool has_else = frame.op == code::Op::if_ && !frame.in_else && block.otherwise != code::kNothing;
    at_ = has_else ? block.otherwise : block.end;
  }

  // --- jumps

  void jump(std::uint32_t depth, const State& state) {
    if (depth >= frames_.size()) {
      failed_ = true;
      return;
    }
    const std::size_t target = frames_.size() - 1 - depth;
    OpenBlock& frame = frames_[target];
    if (frame.op == code::Op::loop && target != 0) {
      if (charge(frame.iterations.changes.size() + 1))
        frame.iterations.begins_again(state, frame.watched, names_);
      return;
    }
    leave(target, state);
  }

  /// `state` goes on behind frame `target`. While a loop between is walked the first time that is not
  /// believed yet.
  void leave(std::size_t target, const State& state) {
    if (!dry_.empty() && dry_.back() > target) return;
    OpenBlock& frame = frames_[target];
    const std::size_t results = results_of(frame);
    if (!charge(state.size() + 1)) return;
    if (state.stack.size() < frame.height + results) {
      failed_ = true;
      return;
    }
    if (target == 0) note_return(state, results);
    State there;
    there.locals = state.locals;
    there.watched.assign(state.watched.begin(),
                         state.watched.begin() + static_cast<std::ptrdiff_t>(frame.watched));
    there.stack.assign(state.stack.begin(), state.stack.begin() + static_cast<std::ptrdiff_t>(frame.height));
    there.stack.insert(there.stack.end(), state.stack.end() - static_cast<std::ptrdiff_t>(results),
                       state.stack.end());
    there.unequal = state.unequal;
    there.received = state.received;
    if (frame.out) {
      join(*frame.out, there, names_);
    } else {
      (void)keep(frame, there.size());
      frame.out = std::move(there);
    }
  }

  void note_return(const State& state, std::size_t results) {
    returns_ = true;
    bool received = results == 1;
    if (received) {
      const Value& value = state.stack.back();
      const auto origin = names_.origins.find(value.symbol);
      received =
          value.offset == 0 && origin != names_.origins.end() && origin->second.kind == Origin::Kind::receive;
    }
    result_.summary.gives_received = result_.summary.gives_received && received;
  }

  void end_function() {
    for (const Value& value : state_.stack)
      result_.summary.results.push_back(value.is_integer() ? value.arc : Arc{});
  }

  // --- calls

  void call(std::uint32_t callee, std::uint32_t type_index);

  // --- one instruction

  void step(const code::Instruction& in);

  void plain(const code::Instruction& in);

  void copies(const code::Instruction& in);

  const code::Function& function_;
  const code::Module& module_;
  const Surroundings& around_;
  Work& work_;
  Work own_work_;
  WalkResult result_;
  Names names_;
  State state_;
  std::vector<OpenBlock> frames_;
  std::vector<std::size_t> dry_;  // loops that are walked the first time, by index in frames_
  std::size_t at_ = 0;
  std::size_t kept_ = 0;
  bool is_live_ = true, failed_ = false, returns_ = false;
};

}  // namespace pgrid::control
