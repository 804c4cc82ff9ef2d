// From a module to what is known of it and to the image that workers run. Both come from a child process: a module that crashes or
// stalls the analysis or the compiler costs that child, not control.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "control/event_loop.hpp"
#include "control/store/files.hpp"
#include "drivers/base/result.hpp"

namespace pgrid::control {

struct CompileJob {
  std::shared_ptr<const Bytes> module;
  std::uint64_t memory_bytes = 0;  // the module may not want more
  bool only_verify = false;        // there is an image already
};

struct CompileResult {
  std::string verdict;  // JSON: control/code/verdict.hpp
  Bytes image;          // empty when only verified
};

/// Seam for tests.
class Compiler {
 public:
  using OnImage = std::function<void(Result<Bytes>)>;
  using OnCompiled = std::function<void(Result<CompileResult>)>;
  virtual ~Compiler() = default;
  /// Calls `done` later. invalid_argument: the module is refused, the sentence says why.
  virtual void compile(CompileJob job, OnCompiled done) = 0;
};

/// Runs pgrid-compile: module on stdin, verdict and image on stdout, a sentence on stderr. Owned by control's one thread.
class CompilerChild : public Compiler {
 public:
  CompilerChild(EventLoop& loop, std::filesystem::path program);
  ~CompilerChild() override;
  void compile(CompileJob job, OnCompiled done) override;

  /// Asks the compiler for which engine it compiles. Waits for the answer: used at start only.
  [[nodiscard]] Result<std::string> fingerprint() const;

 private:
  struct Running;
  struct Queued {
    CompileJob job;
    OnCompiled done;
  };
  void start_next();
  void finish(Running& running, bool timed_out);

  EventLoop& loop_;
  std::filesystem::path program_;
  std::deque<Queued> queued_;
  std::list<std::unique_ptr<Running>> running_;
};

/// Where pgrid-compile is: $PGRID_LIBEXEC, beside this program, in the build tree, in $PATH.
[[nodiscard]] std::filesystem::path find_compiler();

}  // namespace pgrid::control
