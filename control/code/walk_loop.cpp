// A loop in the walk over a function: walked once with nothing believed of what it changes, then with what
// that has shown.
#include "control/code/walker.hpp"

namespace pgrid::control {
namespace {

using code::Block;
using code::Instruction;
using code::Op;

constexpr std::size_t kCompanions = 64;  // locals of a loop that others are compared with

bool guesses_hold(const OpenBlock& frame) {
  return std::ranges::all_of(frame.iterations.changes, [&](const Change& change) {
    return !change.guess || frame.iterations.places == 0 ||
           change.guess->has_all(change.after, change.entry.width);
  });
}

}  // namespace

void Walk::enter_loop(const Block& block) {
  OpenBlock& frame = frames_.back();
  if (!charge(block.end - block.begin + state_.size() + state_.locals.size() / 8) ||
      !keep(frame, state_.size()))
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

void Walk::begin_iteration(OpenBlock& frame) {
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
        header.offset =
            (companion.header_offset + change.entry.offset - companion.entry.offset) & all_ones(width);
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

void Walk::close_loop() {
  OpenBlock& frame = frames_.back();
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

}  // namespace pgrid::control
