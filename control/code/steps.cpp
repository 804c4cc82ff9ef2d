#include "control/code/steps.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

namespace pgrid::control {
namespace {

using code::Instruction;
using code::Op;

std::uint64_t sum(std::uint64_t a, std::uint64_t b) { return a > kEndless - b ? kEndless : a + b; }
std::uint64_t product(std::uint64_t a, std::uint64_t b) {
  return a != 0 && b > kEndless / a ? kEndless : a * b;
}

Steps both(std::uint64_t steps) { return {steps, steps}; }

/// The longest way through the function's blocks. Inside a loop ways are counted from the beginning of an
/// iteration; when the loop ends, all earlier iterations are put in front of the ways that lead out of it.
class LongestWay {
 public:
  LongestWay(const code::Function& function, const WalkResult& walked, std::uint64_t memory_bytes,
             const std::function<Steps(const Instruction&)>& callee_steps)
      : function_(function), walked_(walked), memory_bytes_(memory_bytes), callee_steps_(callee_steps) {}

  Steps run() {
    frames_.push_back({.block = 0});
    now_ = Steps{};
    for (std::size_t at = 0; at < function_.instructions.size() && !frames_.empty(); ++at)
      step(function_.instructions[at], at);
    return end_;
  }

 private:
  using Way = std::optional<Steps>;  // nothing: no way leads here
  struct Frame {
    std::uint32_t block = 0;
    Op op = Op::block;
    Way out;                                   // to its end
    Way otherwise;                             // if_: to its else
    Way again;                                 // loop: to its beginning, from there
    Way before;                                // loop: to its first iteration
    std::map<std::size_t, Steps> out_of_loop;  // loop: to frames around it, by index
  };

  static void take(Way& way, const Steps& steps) { way = way ? Steps::larger(*way, steps) : steps; }

  /// A way that begins in the innermost loop `inside`, one of frames_ or kNone, arrives at frame `target`.
  void arrive(std::size_t target, std::size_t inside, const Steps& steps) {
    if (inside != kNone && target < inside) {
      const auto [found, is_new] = frames_[inside].out_of_loop.try_emplace(target, steps);
      if (!is_new) found->second = Steps::larger(found->second, steps);
    } else if (frames_[target].op == Op::loop) {
      take(frames_[target].again, steps);
    } else {
      take(frames_[target].out, steps);
    }
  }
  void jump(std::uint32_t depth) {
    if (now_ && depth < frames_.size()) arrive(frames_.size() - 1 - depth, innermost_loop(), *now_);
  }
  [[nodiscard]] std::size_t innermost_loop() const { return loops_.empty() ? kNone : loops_.back(); }

  void step(const Instruction& in, std::size_t at) {
    if (now_) now_ = now_->plus(both(1));
    switch (in.op) {
      case Op::block:
      case Op::if_:
        frames_.push_back({.block = in.a, .op = in.op});
        if (in.op == Op::if_) frames_.back().otherwise = now_;
        return;
      case Op::loop:
        frames_.push_back({.block = in.a, .op = in.op});
        frames_.back().before = now_;
        if (now_) now_ = both(1);  // `loop` itself, which every iteration executes
        loops_.push_back(frames_.size() - 1);
        return;
      case Op::else_:
        if (now_) take(frames_.back().out, *now_);
        now_ = frames_.back().otherwise;
        frames_.back().otherwise.reset();
        return;
      case Op::end:
        return close();
      case Op::br:
        jump(in.a);
        now_.reset();
        return;
      case Op::br_if:
        return jump(in.a);
      case Op::br_table:
        for (std::uint64_t i = 0; i < in.b; ++i) jump(function_.targets[in.a + i]);
        now_.reset();
        return;
      case Op::unreachable:  // a trap ends everything, so what follows the call is not run either: a return
                             // is no shorter
      case Op::return_:
        jump(static_cast<std::uint32_t>(frames_.size() - 1));
        now_.reset();
        return;
      case Op::call:
      case Op::call_indirect:
        if (now_) now_ = now_->plus(callee_steps_(in));
        return;
      case Op::copies_bytes:
      case Op::copies_elements:
        return copies(in, at);
      default:
        return;
    }
  }

  void copies(const Instruction& in, std::size_t at) {
    if (!now_) return;
    const auto found = walked_.copied.find(static_cast<std::uint32_t>(at));
    const std::uint64_t most = found == walked_.copied.end() ? kEndless : found->second;
    const std::uint64_t bytes =
        in.op == Op::copies_bytes ? std::min(most, memory_bytes_) : product(most, sizeof(void*));
    now_ = now_->plus(both(bytes / kBytesPerStep + 1));
  }

  void close() {
    if (frames_.back().op == Op::loop) return close_loop();
    Frame& frame = frames_.back();
    if (now_) take(frame.out, *now_);
    if (frame.otherwise) take(frame.out, frame.otherwise->plus(both(1)));
    now_ = frame.out;
    frames_.pop_back();
    if (frames_.empty() && now_) end_ = *now_;
  }

  void close_loop() {
    const Frame frame = std::move(frames_.back());
    frames_.pop_back();
    loops_.pop_back();
    if (!frame.before) {
      now_.reset();
      return;
    }
    Steps front = *frame.before;
    if (frame.again) front = front.plus(frame.again->times(walked_.loops[frame.block].bound));
    for (const auto& [target, steps] : frame.out_of_loop) arrive(target, innermost_loop(), front.plus(steps));
    if (now_) now_ = front.plus(*now_);
  }

  static constexpr std::size_t kNone = ~std::size_t{0};
  const code::Function& function_;
  const WalkResult& walked_;
  std::uint64_t memory_bytes_;
  const std::function<Steps(const Instruction&)>& callee_steps_;
  std::vector<Frame> frames_;
  std::vector<std::size_t> loops_;  // by index in frames_
  Way now_;
  Steps end_;
};

}  // namespace

Steps Steps::plus(const Steps& other) const {
  return {sum(in_activation, other.in_activation), sum(in_message, other.in_message)};
}

Steps Steps::times(const Bound& bound) const {
  return {product(in_activation, bound.in_activation), product(in_message, bound.in_message)};
}

Steps Steps::larger(const Steps& a, const Steps& b) {
  return {std::max(a.in_activation, b.in_activation), std::max(a.in_message, b.in_message)};
}

Steps steps_of(const code::Function& function, const WalkResult& walked, std::uint64_t memory_bytes,
               const std::function<Steps(const code::Instruction&)>& callee_steps) {
  return LongestWay(function, walked, memory_bytes, callee_steps).run();
}

}  // namespace pgrid::control
