// From a module to the image that workers run. Compiling happens in a child process: a module that crashes or
// stalls the compiler costs that child, not control.
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
};

/// Seam for tests.
class Compiler {
 public:
  using OnImage = std::function<void(Result<Bytes>)>;
  virtual ~Compiler() = default;
  /// Calls `done` later. invalid_argument: the module is refused, the sentence says why.
  virtual void compile(CompileJob job, OnImage done) = 0;
};

/// Runs pgrid-compile: module on stdin, image on stdout, a sentence on stderr. Owned by control's one thread.
class CompilerChild : public Compiler {
 public:
  CompilerChild(EventLoop& loop, std::filesystem::path program);
  ~CompilerChild() override;
  void compile(CompileJob job, OnImage done) override;

  /// Asks the compiler for which engine it compiles. Waits for the answer: used at start only.
  [[nodiscard]] Result<std::string> fingerprint() const;

 private:
  struct Running;
  struct Queued {
    CompileJob job;
    OnImage done;
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
