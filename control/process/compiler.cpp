#include "control/process/compiler.hpp"

#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <system_error>

#include "control/code_store/code_store.hpp"
#include "control/process/child.hpp"

namespace pgrid::control {
namespace {

constexpr std::size_t kAtOnce = 2;  // children: compiling one module takes all the cores it finds
constexpr std::chrono::seconds kCompileWithin{60};  // an 8 MiB module takes some 10 s on one core
constexpr int kFingerprintWithinMs = 10'000;
constexpr std::string_view kPrefix = "pgrid-compile: ";

std::string sentence_of(const ChildResult& result) {
  std::string text = result.text;
  if (text.starts_with(kPrefix)) text.erase(0, kPrefix.size());
  return text;
}

Result<Bytes> image_of(Result<ChildResult> result, bool timed_out) {
  if (!result) return std::unexpected(result.error());
  if (timed_out)
    return fail(Errc::invalid_argument, "compile the module", "it takes longer than 60 s", "make it smaller");
  if (result->signal != 0)
    return fail(Errc::invalid_argument, "compile the module",
                "the compiler was ended by signal " + std::to_string(result->signal),
                "the module may be too complex");
  if (result->status != 0) {
    const std::string text = sentence_of(*result);
    return fail(Errc::invalid_argument, "", text.empty() ? "the compiler refused the module" : text);
  }
  if (result->output.empty())
    return fail(Errc::internal, "compile the module", "the compiler wrote no image");
  return std::move(result->output);
}

}  // namespace

struct CompilerChild::Running {
  Child child;
  OnImage done;
  Pending ended;
  Pending limit;
};

CompilerChild::CompilerChild(EventLoop& loop, std::filesystem::path program)
    : loop_(loop), program_(std::move(program)) {}
CompilerChild::~CompilerChild() = default;

void CompilerChild::compile(CompileJob job, OnImage done) {
  queued_.push_back({std::move(job), std::move(done)});
  start_next();
}

void CompilerChild::start_next() {
  while (!queued_.empty() && running_.size() < kAtOnce) {
    Queued next = std::move(queued_.front());
    queued_.pop_front();
    Result<Child> child =
        Child::start(program_, {"--memory", std::to_string(next.job.memory_bytes)}, *next.job.module);
    if (!child) {
      loop_.post([done = std::move(next.done), error = child.error()] { done(std::unexpected(error)); });
      continue;
    }
    running_.push_back(
        std::make_unique<Running>(std::move(*child), std::move(next.done), Pending(), Pending()));
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
  Result<Bytes> image = image_of(running.child.collect(kImageMax), timed_out);
  const OnImage done = std::move(running.done);
  running_.remove_if([&](const std::unique_ptr<Running>& one) { return one.get() == &running; });
  start_next();
  done(std::move(image));
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
