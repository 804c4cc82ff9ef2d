// pgrid verify: what a module would promise, or why it is refused. No node is needed: pgrid-compile, a
// limited process, does the work.
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/base/unique_fd.hpp"
#include "drivers/config/units.hpp"
#include "tools/pgrid/command.hpp"
#include "tools/pgrid/commands/verdict_text.hpp"
#include "tools/pgrid/find_program.hpp"

extern char** environ;

namespace pgrid::tools {
namespace {

constexpr std::uint64_t kMemoryDefault = 4u << 20;  // bytes; as deploy's
constexpr std::size_t kWidth = 14;                  // of labels
constexpr std::size_t kTextMax = 16u << 10;         // bytes of a verdict or a sentence

std::string first_line(int fd) {
  std::string text(kTextMax, '\0');
  const ssize_t length = ::pread(fd, text.data(), text.size(), 0);
  text.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  return text.substr(0, text.find('\n'));
}

struct Outcome {
  int status = 0;
  std::string verdict;
  std::string sentence;
};

Result<Outcome> run_checker(const std::filesystem::path& program, int module,
                            std::vector<std::string> words) {
  const UniqueFd output(::memfd_create("pgrid-verdict", MFD_CLOEXEC)),
      text(::memfd_create("pgrid-text", MFD_CLOEXEC));
  if (!output || !text) return fail_errno("start " + program.string(), errno);
  words.insert(words.begin(), program.string());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, module, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, text.get(), STDERR_FILENO);
  pid_t child = -1;
  const int error = ::posix_spawn(&child, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return fail_errno("start " + program.string(), error);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  std::string sentence = first_line(text.get());
  constexpr std::string_view kPrefix = "pgrid-compile: ";
  if (sentence.starts_with(kPrefix)) sentence.erase(0, kPrefix.size());
  return Outcome{WIFEXITED(status) ? WEXITSTATUS(status) : -1, first_line(output.get()), std::move(sentence)};
}

class Verify : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own =
        app.add_subcommand("verify",
                           "Tell what a WebAssembly function would promise, or why it would be refused: "
                           "imports, exports, memory, call stack, and whether it is proved to end.");
    own.add_option("FILE", file_, "the module (FILE.wasm)").required().type_name(kFileWord);
    add_size(own, "--memory", memory_bytes_, "linear memory that it may use, as in 4MiB (the default)");
    own.add_option("--grant", grants_, "as with deploy; tells which handles it would hold")
        .allow_extra_args(false)
        .type_name("GRANT");
    own.add_flag("--quick", quick_,
                  "do not compile it as well, which is the longest part of what deploy does");
    own.footer(
        "\nExample:\n  pgrid verify build/docs/examples/echo.wasm\nNo node is needed. docs/VERIFYING.md says "
        "what is proved, and how.");
    return own;
  }

  ExitCode run(Context& context) override {
    const UniqueFd module(::open(file_.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status{};
    if (!module || ::fstat(module.get(), &status) != 0 || !S_ISREG(status.st_mode))
      return context.printer.report(ExitCode::usage, Error{Errc::invalid_argument, "read " + file_.string(),
                                                           "there is no such file to read", ""});
    const auto program = find_program("pgrid-compile");
    if (!program) return context.printer.report(ExitCode::usage, program.error());
    std::vector<std::string> words{"--memory", std::to_string(memory_bytes_)};
    if (quick_) words.insert(words.begin(), "--verify");
    const auto outcome = run_checker(*program, module.get(), words);
    if (!outcome) return context.printer.report(ExitCode::usage, outcome.error());
    const auto verdict = nlohmann::json::parse(outcome->verdict, nullptr, false);
    if (outcome->status != 0 || !verdict.is_object())
      return context.printer.report(
          ExitCode::refused,
          Error{Errc::unsupported, file_.string(),
                outcome->sentence.empty() ? "the checker ended without a word" : outcome->sentence, ""});
    if (context.printer.json())
      context.printer.print(verdict);
    else
      tell(context.printer, verdict);
    return ExitCode::ok;
  }

 private:
  void tell(const Printer& printer, const nlohmann::json& verdict) const {
    const auto line = [&](const std::string& label, const std::string& value) {
      printer.say("  " + label + std::string(label.size() < kWidth ? kWidth - label.size() : 1, ' ') + value);
    };
    printer.say(file_.string() + " can be deployed" + (quick_ ? ", unless the compiler refuses it" : "") +
                ".");
    for (const auto& [label, value] : verdict_lines(verdict)) line(label, value);
    unsigned handle = 4;  // PG_HANDLE_GRANTED(0)
    for (const std::string& grant : grants_)
      line("handle " + std::to_string(handle++),
           grant.substr(0, grant.find('=')) + ", a right that deploy gives it");
    printer.say(promise_text(verdict));
  }

  std::filesystem::path file_;
  std::uint64_t memory_bytes_ = kMemoryDefault;
  std::vector<std::string> grants_;
  bool quick_ = false;
};

}  // namespace

std::unique_ptr<Command> make_verify() { return std::make_unique<Verify>(); }

}  // namespace pgrid::tools
