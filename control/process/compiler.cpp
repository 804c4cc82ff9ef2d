#include "control/process/compiler.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "control/code_store/code_store.hpp"
#include "control/process/child.hpp"

namespace pgrid::control {
namespace {

constexpr std::size_t kAtOnce = 2;  // children: compiling one module takes all the cores it finds
constexpr std::chrono::seconds kCompileWithin{60};  // an 8 MiB module takes some 10 s on one core
constexpr int kFingerprintWithinMs = 10'000;
constexpr std::size_t kVerdictMax = 16u << 10;  // bytes of JSON; names in it are few and cut
constexpr std::string_view kPrefix = "pgrid-compile: ";

std::string sentence_of(const ChildResult& result) {
  std::string text = result.text;
  if (text.starts_with(kPrefix)) text.erase(0, kPrefix.size());
  return text;
}

Result<CompileResult> result_of(Result<ChildResult> result, bool timed_out, bool only_verify) {
  if (!result) return std::unexpected(result.error());
  if (timed_out)
    return fail(Errc::invalid_argument, "verify and compile the module", "that takes longer than 60 s", "make it smaller");
  if (result->signal != 0)  // it says by itself what becomes of its own child
    return fail(Errc::invalid_argument, "verify and compile the module",
                "the compiler was ended by signal " + std::to_string(result->signal), "the module may be too complex");
  if (result->status != 0) {
    const std::string text = sentence_of(*result);
    return fail(Errc::invalid_argument, "", text.empty() ? "the compiler refused the module" : text);
  }
  // The verdict is the first line, the image is what follows it.
  const auto line_end = std::ranges::find(result->output, static_cast<std::uint8_t>('\n'));
  CompileResult compiled{.verdict = std::string(result->output.begin(), line_end), .image = {}};
  if (line_end != result->output.end()) compiled.image.assign(line_end + 1, result->output.end());
  if (compiled.verdict.empty() || compiled.verdict.size() > kVerdictMax || (compiled.image.empty() && !only_verify))
    return fail(Errc::internal, "verify and compile the module", "the compiler wrote no verdict or no image");
  return compiled;
}

}  // namespace

struct CompilerChild::Running {
  Child child;
  OnCompiled done;
  bool only_verify;
  Pending ended;
  Pending limit;
};

CompilerChild::CompilerChild(EventLoop& loop, std::filesystem::path program)
    : loop_(loop), program_(std::move(program)) {}
CompilerChild::~CompilerChild() = default;

void CompilerChild::compile(CompileJob job, OnCompiled done) {
  queued_.push_back({std::move(job), std::move(done)});
  start_next();
}

void CompilerChild::start_next() {
  while (!queued_.empty() && running_.size() < kAtOnce) {
    Queued next = std::move(queued_.front());
    queued_.pop_front();
    std::vector<std::string> arguments{"--memory", std::to_string(next.job.memory_bytes)};
    if (next.job.only_verify) arguments.insert(arguments.begin(), "--verify");
    Result<Child> child = Child::start(program_, arguments, *next.job.module);
    if (!child) {
      loop_.post([done = std::move(next.done), error = child.error()] { done(std::unexpected(error)); });
      continue;
    }
    running_.push_back(
        std::make_unique<Running>(std::move(*child), std::move(next.done), next.job.only_verify, Pending(), Pending()));
    Running& running = *running_.back();
    running.ended = loop_.when_readable(running.child.pidfd(), [this, &running] { finish(running, false); });
    running.limit = loop_.after(kCompileWithin, [this, &running] {
      running.child.kill();
      finish(running, true);
    });
  }
}

void CompilerChild::finish(Running& running, bool timed_out) {
  running.ended.reset();
  running.limit.reset();
  Result<CompileResult> compiled = result_of(running.child.collect(kImageMax + kVerdictMax), timed_out, running.only_verify);
  const OnCompiled done = std::move(running.done);
  running_.remove_if([&](const std::unique_ptr<Running>& one) { return one.get() == &running; });
  start_next();
  done(std::move(compiled));
}

Result<std::string> CompilerChild::fingerprint() const {
  Result<Child> child = Child::start(program_, {"--fingerprint"}, {});
  if (!child) return std::unexpected(child.error());
  pollfd end{child->pidfd(), POLLIN, 0};
  if (::poll(&end, 1, kFingerprintWithinMs) != 1) {
    child->kill();
    return fail(Errc::timed_out, program_.string() + " --fingerprint", "no answer within 10 s");
  }
  Result<ChildResult> result = child->collect(4096);
  if (!result) return std::unexpected(result.error());
  std::string text(result->output.begin(), result->output.end());
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (result->status != 0 || text.empty())
    return fail(Errc::internal, program_.string() + " --fingerprint", sentence_of(*result));
  return text;
}

std::filesystem::path find_compiler() {
  std::error_code error;
  const std::filesystem::path name = "pgrid-compile";
  if (const char* libexec = std::getenv("PGRID_LIBEXEC"); libexec != nullptr && *libexec != 0)
    return std::filesystem::path(libexec) / name;
  const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const std::filesystem::path& candidate : {here / name, here / "code" / name})
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  return name;  // $PATH
}

}  // namespace pgrid::control
