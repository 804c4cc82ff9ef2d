#include "control/code/termination.hpp"

#include <algorithm>
#include <string_view>

#include "control/code/call_graph.hpp"
#include "control/code/steps.hpp"
#include "control/code/walk.hpp"

namespace pgrid::control {
namespace {

using code::kNothing;

// What a module of that size may cost: a second on a slow machine, whatever it contains.
constexpr std::uint64_t kWorkBase = 8u << 20;
constexpr std::uint64_t kWorkPerInstruction = 64;
// A native frame: what Cranelift saves, and a slot for each local and operand as if none shared one.
constexpr std::uint64_t kFrameBytes = 128;
constexpr std::uint64_t kSlotBytes = 16;

/// What is known of a node of the call graph.
struct Finding {
  bool is_done = false;
  bool ends = false;
  std::string reason;
  std::uint32_t place = kNothing;
  std::uint32_t offset = 0;
  Steps steps;
  std::optional<std::uint64_t> stack_bytes;
};

std::uint32_t find_import(const code::Module& module, std::string_view name) {
  std::uint32_t index = 0;
  for (const code::Import& import : module.imports) {
    if (import.kind != code::Kind::function) continue;
    if (import.module == "promisegrid" && import.name == name) return index;
    ++index;
  }
  return kNothing;
}

class Termination {
 public:
  Termination(const code::Module& module, std::uint64_t memory_bytes, std::vector<EntryFinding> entries)
      : module_(module),
        memory_bytes_(memory_bytes),
        entries_(std::move(entries)),
        graph_(module, functions_of(entries_)),
        summaries_(module.functions.size()),
        parameters_(module.functions.size()),
        walked_(module.functions.size()) {
    work_.left = kWorkBase;
    for (const code::Function& function : module.functions)
      work_.left += kWorkPerInstruction * function.instructions.size();
  }

  std::vector<EntryFinding> run() {
    summarize();
    open_parameters();
    walk_all();
    conclude_all();
    for (EntryFinding& entry : entries_) tell(entry);
    return std::move(entries_);
  }

 private:
  static std::vector<std::uint32_t> functions_of(const std::vector<EntryFinding>& entries) {
    std::vector<std::uint32_t> functions;
    for (const EntryFinding& entry : entries) functions.push_back(entry.function);
    return functions;
  }
  [[nodiscard]] bool has_code(std::uint32_t node) const {
    return !graph_.is_group(node) && node >= module_.imported_functions;
  }

  [[nodiscard]] Surroundings surroundings() const {
    return {.module = module_,
            .receive = find_import(module_, "receive"),
            .summaries = summaries_,
            .memory_bytes = memory_bytes_,
            .on_call = {}};
  }

  /// First callees, then callers: what functions give back, whatever they are called with.
  void summarize() {
    const Surroundings around = surroundings();
    for (const std::uint32_t node : graph_.order()) {
      if (!has_code(node) || graph_.is_recursive(node)) continue;
      const code::Function& function = module_.functions[node];
      if (module_.types[function.type].results.empty()) continue;
      WalkResult result = walk(function, {}, around, work_);
      if (result.finished) summaries_[node] = std::move(result.summary);
    }
  }

  /// Where operands come from somewhere that the walks do not see, nothing is known of them.
  void open_parameters() {
    for (const std::uint32_t node : graph_.order())
      if (graph_.is_group(node))
        for (const std::uint32_t member : graph_.callees(node)) open_parameters_of(member);
    for (const EntryFinding& entry : entries_) open_parameters_of(entry.function);
  }
  void open_parameters_of(std::uint32_t function) {
    parameters_[function].clear();
    for (const std::uint8_t width : module_.types[module_.functions[function].type].parameters)
      parameters_[function].push_back(Arc::any(width == 64 ? 64 : 32));
    (void)is_called_.insert(function);
  }

  void note_call(std::uint32_t callee, std::span<const Value> operands) {
    std::vector<Arc>& arcs = parameters_[callee];
    const bool first = is_called_.insert(callee);
    if (first) arcs.assign(operands.size(), Arc{});
    for (std::size_t i = 0; i < operands.size(); ++i) {
      const Value& value = operands[i];
      if (!value.is_integer()) continue;
      arcs[i] = first ? value.arc : join(arcs[i], value.arc, value.width);
    }
  }

  /// Callers before callees, so that a callee is walked with what all its callers give it.
  void walk_all() {
    Surroundings around = surroundings();
    around.on_call = [this](std::uint32_t callee, std::span<const Value> operands) {
      note_call(callee, operands);
    };
    const auto order = graph_.order();
    for (auto node = order.rbegin(); node != order.rend(); ++node) {
      if (!has_code(*node)) continue;
      if (!graph_.is_recursive(*node))
        walked_[*node] = walk(module_.functions[*node], parameters_[*node], around, work_);
      if (!walked_[*node].finished)
        for (const std::uint32_t callee : graph_.callees(*node))
          if (!graph_.is_group(callee)) open_parameters_of(callee);
    }
  }

  void conclude_all() {
    findings_.resize(module_.functions.size());
    for (const std::uint32_t node : graph_.order()) {
      findings_.resize(std::max<std::size_t>(findings_.size(), node + std::size_t{1}));
      findings_[node] = conclude(node);
      findings_[node].is_done = true;
    }
  }

  Finding conclude(std::uint32_t node) const {
    if (has_code(node)) return conclude_function(node);
    Finding finding{.ends = true, .stack_bytes = 0};
    if (!graph_.is_group(node)) {
      finding.steps = {kHostCallSteps, kHostCallSteps};
      return finding;
    }
    for (const std::uint32_t member : graph_.callees(node)) blame(finding, member);
    return finding;
  }

  /// What holds of a callee holds of its caller.
  void blame(Finding& finding, std::uint32_t callee) const {
    const Finding& other = findings_[callee];
    if (!other.is_done) return;  // recursion, which is said already
    finding.steps = Steps::larger(finding.steps, other.steps);
    finding.stack_bytes = finding.stack_bytes && other.stack_bytes
                              ? std::optional(std::max(*finding.stack_bytes, *other.stack_bytes))
                              : std::nullopt;
    if (other.ends || !finding.ends) return;
    finding.ends = false;
    finding.reason = other.reason;
    finding.place = other.place;
    finding.offset = other.offset;
  }

  Finding conclude_function(std::uint32_t index) const {
    const code::Function& function = module_.functions[index];
    const WalkResult& walked = walked_[index];
    Finding finding{.ends = true, .place = index, .offset = function.offset, .stack_bytes = 0};
    if (graph_.is_recursive(index)) {
      finding.ends = false;
      finding.stack_bytes.reset();
      finding.reason = "it can call itself, directly or through others, and nothing bounds how deep";
      return finding;
    }
    if (!walked.finished) {
      finding.ends = false;
      finding.reason = "it is too complex for the analysis";
    }
    for (std::size_t i = 0; finding.ends && i < walked.loops.size(); ++i)
      if (walked.loops[i].reached && !walked.loops[i].bound.is_proved) {
        finding.ends = false;
        finding.offset = function.blocks[i].offset;
        finding.reason = reason_of(walked.loops[i]);
      }
    for (const std::uint32_t callee : graph_.callees(index)) blame(finding, callee);
    if (finding.stack_bytes) *finding.stack_bytes += frame_bytes(function, walked);
    if (!finding.ends) return finding;
    finding.steps = steps_of(function, walked, memory_bytes_, [this](const code::Instruction& in) {
      return findings_[in.op == code::Op::call ? in.a : graph_.group(in)].steps;
    });
    if (finding.steps.in_activation == kEndless) {
      finding.ends = false;
      finding.place = index;
      finding.reason = "its loops are bounded, but their bounds multiply to more than 2^64 steps";
    }
    return finding;
  }

  static std::string reason_of(const LoopFinding& loop) {
    if (loop.receives)
      return "a loop calls receive, and may go on although it got no message: go on only while receive gives "
             "more than 0";
    if (loop.counts)
      return "a loop counts, but towards a number that nobody checked: compare with a constant, or check or "
             "mask that number first";
    return "a loop has nothing that counts towards its end by constant steps";
  }

  static std::uint64_t frame_bytes(const code::Function& function, const WalkResult& walked) {
    std::uint64_t slots = walked.finished ? walked.stack_max : function.instructions.size();
    for (const code::Locals& locals : function.locals) slots += locals.count;
    return kFrameBytes + kSlotBytes * slots;
  }

  void tell(EntryFinding& entry) const {
    const Finding& finding = findings_[entry.function];
    entry.is_proved = finding.ends;
    entry.reason = finding.ends ? "" : finding.reason;
    entry.place = finding.ends ? kNothing : finding.place;
    entry.offset = finding.offset;
    entry.steps = finding.steps.in_activation;
    entry.steps_per_message = std::min(finding.steps.in_message, finding.steps.in_activation);
    entry.stack_bytes = finding.stack_bytes;
  }

  /// A set of functions.
  class Marks {
   public:
    bool insert(std::uint32_t function) {
      if (function >= marks_.size()) marks_.resize(function + std::size_t{1});
      if (marks_[function]) return false;
      return marks_[function] = true;
    }

   private:
    std::vector<bool> marks_;
  };

  const code::Module& module_;
  std::uint64_t memory_bytes_;
  std::vector<EntryFinding> entries_;
  CallGraph graph_;
  std::vector<Summary> summaries_;
  std::vector<std::vector<Arc>> parameters_;
  Marks is_called_;
  std::vector<WalkResult> walked_;
  std::vector<Finding> findings_;
  Work work_;
};

}  // namespace

std::vector<EntryFinding> find_termination(const code::Module& module, std::uint64_t memory_bytes) {
  std::vector<EntryFinding> entries;
  if (module.start) entries.push_back({.name = "start", .function = *module.start});
  for (const char* name : {"pg_init", "pg_activate"})
    for (const code::Export& one : module.exports)
      if (one.name == name && one.kind == code::Kind::function)
        entries.push_back({.name = name, .function = one.index});
  return Termination(module, memory_bytes, std::move(entries)).run();
}

}  // namespace pgrid::control
