#include "control/code/walk.hpp"

#include <algorithm>
#include <utility>

#include "control/code/arithmetic.hpp"

namespace pgrid::control {
namespace {

using code::Block;
using code::Instruction;
using code::Op;

constexpr std::size_t kDepthMax = 4096;           // blocks within blocks
constexpr std::size_t kKeptMax = 250'000;         // values in states that wait for others, some 16 MB
constexpr std::size_t kCompanions = 64;           // locals of a loop that others are compared with
constexpr std::uint64_t kWorkPerFunction = 1u << 20;  // and so much again for each of its instructions:
constexpr std::uint64_t kWorkPerInstruction = 512;

/// A block that is open where the walk is.
struct Frame {
  Op op = Op::block;
  std::uint32_t block = 0;
  std::size_t height = 0;   // of the operand stack below it
  std::size_t watched = 0;  // values watched below it
  std::optional<State> out;       // of all that has left by its end so far
  std::optional<State> otherwise;  // if_: where its else begins. loop: before its first iteration
  bool in_else = false;
  std::size_t kept = 0;            // values in those
  // Of a loop:
  int walks = 0;               // begun through its body
  std::size_t conditions = 0;  // before it
  Iterations seen;             // in the first
  Iterations iterations;       // in this one
};

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
  bool keep(Frame& frame, std::size_t values) {
    frame.kept += values;
    kept_ += values;
    failed_ = failed_ || kept_ > kKeptMax;
    return !failed_;
  }

  bool begin(std::span<const Arc> parameters) {
    Frame& body = frames_.emplace_back();
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

  [[nodiscard]] const Block& block_of(const Frame& frame) const { return function_.blocks[frame.block]; }

  [[nodiscard]] std::size_t results_of(const Frame& frame) const {
    if (frame.block == 0) return module_.types[function_.type].results.size();
    return block_of(frame).results;
  }

  void open(const Instruction& in) {
    if (frames_.size() >= kDepthMax) {
      failed_ = true;
      return;
    }
    const Block& block = function_.blocks[in.a];
    Frame frame;
    frame.op = in.op;
    frame.block = in.a;
    if (in.op == Op::if_) {
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
    if (in.op == Op::loop) enter_loop(block);
  }

  /// Which locals the loop changes, found by reading its body.
  void enter_loop(const Block& block) {
    Frame& frame = frames_.back();
    if (!charge(block.end - block.begin + state_.size() + state_.locals.size() / 8) || !keep(frame, state_.size()))
      return;
    frame.otherwise = state_;
    frame.conditions = names_.conditions.size();
    frame.iterations.last_before = names_.last();
    LoopFinding& finding = result_.loops[frame.block];
    std::vector<bool> seen(state_.locals.size());
    for (std::uint32_t i = block.begin + 1; i < block.end; ++i) {
      const Instruction& in = function_.instructions[i];
      if (in.op == Op::call && in.a == around_.receive) finding.receives = true;
      if ((in.op != Op::local_set && in.op != Op::local_tee) || seen[in.a]) continue;
      seen[in.a] = true;
      if (state_.locals[in.a].is_integer())
        frame.iterations.changes.push_back({.local = in.a, .entry = state_.locals[in.a]});
    }
    if (!keep(frame, frame.iterations.changes.size())) return;
    begin_iteration(frame);
    dry_.push_back(frames_.size() - 1);
  }

  /// The state at the loop's header: what it changes is new each time, and lies where the first walk has shown.
  void begin_iteration(Frame& frame) {
    ++frame.walks;
    const bool knows = frame.walks > 1, guesses = frame.walks == 2;
    const Bound bound = knows ? bound_of(frame.seen) : Bound{};
    for (std::size_t i = 0; i < frame.iterations.changes.size(); ++i) {
      Change& change = frame.iterations.changes[i];
      const std::uint8_t width = change.entry.width;
      Value header = names_.unknown(width);
      if (knows) {
        const Iterations* const seen = &frame.seen;
        header.arc = header_arc(*seen, seen->changes[i], bound);
        header.zeros = header_zeros(*seen, seen->changes[i]);
        if (guesses) change.guess = guessed_arc(*seen, seen->changes[i], header.arc);
        if (change.guess) header.arc = *change.guess;
        for (std::size_t other = 0; other < i && other < kCompanions; ++other) {
          if (!keep_distance(*seen, seen->changes[other], seen->changes[i])) continue;
          const Change& companion = frame.iterations.changes[other];
          header.symbol = companion.header;
          header.offset = (companion.header_offset + change.entry.offset - companion.entry.offset) & all_ones(width);
          break;
        }
      }
      change.header = header.symbol;
      change.header_offset = header.offset;
      state_.locals[change.local] = header;
      state_.watched.push_back(header);
    }
    const std::size_t parameters = block_of(frame).parameters;
    for (std::size_t i = state_.stack.size() - parameters; i < state_.stack.size(); ++i)
      state_.stack[i] = names_.unknown(state_.stack[i].width);
    is_live_ = true;
  }

  void close(const Instruction& in) {
    Frame& frame = frames_.back();
    if (frame.op == Op::loop) return close_loop();
    if (is_live_) leave(frames_.size() - 1, state_);
    if (frame.op == Op::if_ && !frame.in_else && frame.otherwise && block_of(frame).otherwise == code::kNothing) {
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

  void close_loop() {
    Frame& frame = frames_.back();
    const bool was_first = frame.walks == 1;
    if (was_first || !guesses_hold(frame)) {
      if (was_first) {
        frame.seen = std::move(frame.iterations);
        dry_.pop_back();
      }
      frame.iterations = Iterations{};
      frame.iterations.last_before = names_.last();
      for (const Change& change : frame.seen.changes)
        frame.iterations.changes.push_back({.local = change.local, .entry = change.entry});
      // What a walk that guessed wrong has told others is more than can be, which harms nobody.
      if (was_first) names_.conditions.resize(frame.conditions);
      if (!charge(frame.otherwise->size())) return;
      state_ = *frame.otherwise;
      begin_iteration(frame);
      at_ = block_of(frame).begin + 1;
      return;
    }
    LoopFinding& finding = result_.loops[frame.block];
    if (dry_.empty()) {
      finding.reached = true;
      finding.bound = bound_of(frame.iterations);
      for (const Change& change : frame.iterations.changes)
        finding.counts = finding.counts || (change.steps && (change.step_min > 0 || change.step_max < 0));
    }
    state_.watched.resize(std::min(state_.watched.size(), frame.watched));
    pop_frame();
    ++at_;
    if (!is_live_) skip();
  }

  [[nodiscard]] static bool guesses_hold(const Frame& frame) {
    return std::ranges::all_of(frame.iterations.changes, [&](const Change& change) {
      return !change.guess || frame.iterations.places == 0 || change.guess->has_all(change.after, change.entry.width);
    });
  }

  void pop_frame() {
    kept_ -= frames_.back().kept;
    frames_.pop_back();
  }

  void otherwise() {
    Frame& frame = frames_.back();
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
    const Frame& frame = frames_.back();
    const Block& block = block_of(frame);
    const bool has_else = frame.op == Op::if_ && !frame.in_else && block.otherwise != code::kNothing;
    at_ = has_else ? block.otherwise : block.end;
  }

  // --- jumps

  void jump(std::uint32_t depth, const State& state) {
    if (depth >= frames_.size()) {
      failed_ = true;
      return;
    }
    const std::size_t target = frames_.size() - 1 - depth;
    Frame& frame = frames_[target];
    if (frame.op == Op::loop && target != 0) {
      if (charge(frame.iterations.changes.size() + 1)) frame.iterations.begins_again(state, frame.watched, names_);
      return;
    }
    leave(target, state);
  }

  /// `state` goes on behind frame `target`. While a loop between is walked the first time that is not believed yet.
  void leave(std::size_t target, const State& state) {
    if (!dry_.empty() && dry_.back() > target) return;
    Frame& frame = frames_[target];
    const std::size_t results = results_of(frame);
    if (!charge(state.size() + 1)) return;
    if (state.stack.size() < frame.height + results) {
      failed_ = true;
      return;
    }
    if (target == 0) note_return(state, results);
    State there;
    there.locals = state.locals;
    there.watched.assign(state.watched.begin(), state.watched.begin() + static_cast<std::ptrdiff_t>(frame.watched));
    there.stack.assign(state.stack.begin(), state.stack.begin() + static_cast<std::ptrdiff_t>(frame.height));
    there.stack.insert(there.stack.end(), state.stack.end() - static_cast<std::ptrdiff_t>(results), state.stack.end());
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
      received = value.offset == 0 && origin != names_.origins.end() && origin->second.kind == Origin::Kind::receive;
    }
    result_.summary.gives_received = result_.summary.gives_received && received;
  }

  void end_function() {
    for (const Value& value : state_.stack)
      result_.summary.results.push_back(value.is_integer() ? value.arc : Arc{});
  }

  // --- calls

  void call(std::uint32_t callee, std::uint32_t type_index) {
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

  // --- one instruction

  void step(const Instruction& in) {
    switch (in.op) {
      case Op::block:
      case Op::loop:
      case Op::if_:
        open(in);
        ++at_;
        if (!failed_ && !is_live_) skip();
        return;
      case Op::else_: return otherwise();
      case Op::end: return close(in);
      case Op::br:
        jump(in.a, state_);
        return skip();
      case Op::return_:
        jump(static_cast<std::uint32_t>(frames_.size() - 1), state_);
        return skip();
      case Op::unreachable: return skip();
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
      default: break;
    }
    plain(in);
    ++at_;
  }

  void plain(const Instruction& in) {
    switch (in.op) {
      case Op::call: return call(in.a, module_.functions[in.a].type);
      case Op::call_indirect:
        (void)pop();
        return call(code::kNothing, in.a);
      case Op::drop: (void)pop(); return;
      case Op::select: {
        const Value condition = pop(), y = pop(), x = pop();
        return push(select(x, y, condition, names_));
      }
      case Op::local_get: return push(state_.locals[in.a]);
      case Op::local_set: state_.locals[in.a] = pop(); return;
      case Op::local_tee:
        if (!state_.stack.empty()) state_.locals[in.a] = state_.stack.back();
        return;
      case Op::constant: return push(Value::constant(in.b, in.width));
      case Op::load:
        (void)pop();
        return push(loaded(in, names_));
      case Op::memory_size: return push(names_.unknown(32, Arc::between(0, 65536, 32)));
      case Op::eqz:
      case Op::wrap:
      case Op::extend_s:
      case Op::extend_u:
      case Op::sign_extend:
      case Op::count_bits: return push(compute(in, pop(), names_));
      case Op::copies_bytes:
      case Op::copies_elements: return copies(in);
      case Op::other:
        for (int i = 0; i < in.pops; ++i) (void)pop();
        return push_unknown(in.gives);
      default: {
        const Value y = pop(), x = pop();
        return push(compute(in, x, y, names_));
      }
    }
  }

  void copies(const Instruction& in) {
    const Value count = pop();
    for (int i = 1; i < in.pops; ++i) (void)pop();
    std::uint64_t& most = result_.copied[static_cast<std::uint32_t>(at_)];
    if (dry_.empty()) most = std::max(most, count.arc.high(32));
    push_unknown(in.gives);
  }

  const code::Function& function_;
  const code::Module& module_;
  const Surroundings& around_;
  Work& work_;
  Work own_work_;
  WalkResult result_;
  Names names_;
  State state_;
  std::vector<Frame> frames_;
  std::vector<std::size_t> dry_;  // loops that are walked the first time, by index in frames_
  std::size_t at_ = 0;
  std::size_t kept_ = 0;
  bool is_live_ = true, failed_ = false, returns_ = false;
};

}  // namespace

WalkResult walk(const code::Function& function, std::span<const Arc> parameters, const Surroundings& around, Work& work) {
  return Walk(function, around, work).run(parameters);
}

}  // namespace pgrid::control
