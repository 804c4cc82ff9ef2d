// pgrid deploy: hands a module to the node, which checks, compiles, stores and loads it.
#include <unistd.h>

#include <fstream>

#include "drivers/config/units.hpp"
#include "tools/pgrid/command.hpp"
#include "tools/pgrid/commands/supervision_options.hpp"

namespace pgrid::tools {
namespace {

class Deploy : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own = app.add_subcommand("deploy", "Check a WebAssembly function, store it by its CID, and run it as a "
                                                 "process on the node.");
    own.add_option("FILE", file_, "the module (FILE.wasm)").required().type_name(kFileWord);
    own.add_option("--name", name_, "name of the process (default: the file's name)");
    add_size(own, "--memory", memory_bytes_, "linear memory it may use, as in 4MiB");
    add_duration(own, "--time-limit", time_limit_us_, "CPU time for each message, as in 1ms");
    add_number(own, "--rate", rate_, "messages per second through its rights (0: no limit)");
    supervision_.declare(own);
    add_number(own, "--worker", worker_, "index of the worker that runs it (default: the least loaded)");
    own.add_option("--grant", grants_, "let it send to another process, or to itself, through a right of its own: "
                                        "NAME=PROCESS[,rate=N][,label=N][,in-flight=N][,deadline=T]; the first is handle 4, "
                                        "the next 5; at most 15")
        .allow_extra_args(false)  // one after each --grant
        .type_name("GRANT");
    own.footer("\nExamples:\n  pgrid deploy build/docs/examples/echo.wasm --name echo --memory 1MiB --time-limit 1ms\n"
                "  pgrid deploy build/docs/examples/twice.wasm --grant words=wordcount,rate=1000,deadline=50ms\n"
                "  pgrid deploy hello.wasm --restart on-failure --restarts 5 --backoff 10ms..1s --give-up 3");
    return own;
  }

  ExitCode run(Context& context) override {
    std::error_code status;
    const bool readable = std::filesystem::is_regular_file(file_, status) && ::access(file_.c_str(), R_OK) == 0;
    if (!readable)
      return context.printer.report(
          ExitCode::usage, Error{Errc::invalid_argument, "read " + file_.string(), "there is no such file to read",
                                 "give a compiled module; `pgrid new --lang c NAME` makes one to begin with"});
    std::ifstream file(file_, std::ios::binary);
    std::string module((std::istreambuf_iterator<char>(file)), {});
    if (module.empty())
      return context.printer.report(ExitCode::usage,
                                    Error{Errc::invalid_argument, file_.string(), "the file is empty", "build it again; `make` says what failed"});
    if (name_.empty()) name_ = file_.stem().string();
    ApiRequest request{.method = "POST",
                       .path = "/v1/processes",
                       .query = {{"name", name_}},
                       .body = std::move(module),
                       .content_type = "application/wasm",
                       .patience = std::chrono::seconds(120)};  // compiling a large module takes its time
    if (memory_bytes_ != 0) request.query.emplace_back("memory_bytes", std::to_string(memory_bytes_));
    if (time_limit_us_ != 0) request.query.emplace_back("time_limit_us", std::to_string(time_limit_us_));
    if (rate_) request.query.emplace_back("rate", std::to_string(*rate_));
    supervision_.add_to(request);
    if (worker_) request.query.emplace_back("worker", std::to_string(*worker_));
    for (const std::string& grant : grants_) request.query.emplace_back("grant", grant);
    const auto process = context.api.call(request);
    if (!process) return context.report(process.error());
    if (context.printer.json()) {
      context.printer.print(*process);
    } else {
      context.printer.say(name_ + " runs on worker " + text_of(*process, "worker") + " as process " +
                          text_of(*process, "process") + ": " +
                          config::size_text(number_of(*process, "memory_bytes")) + " of memory, " +
                          config::duration_text(number_of(*process, "time_limit_us")) + " per message\ncid " +
                          text_of(*process, "cid") +
                          (grants_.empty() ? "" : "\nwhat it holds: pgrid inspect " + name_ + context.node_option()) +
                          "\ncall it: pgrid invoke " + name_ + " 'some text'" +
                          context.node_option());
    }
    return ExitCode::ok;
  }

 private:
  std::filesystem::path file_;
  std::string name_;
  std::uint64_t memory_bytes_ = 0;
  std::uint64_t time_limit_us_ = 0;
  std::optional<std::uint64_t> rate_, worker_;
  SupervisionOptions supervision_;
  std::vector<std::string> grants_;
};

}  // namespace

std::unique_ptr<Command> make_deploy() { return std::make_unique<Deploy>(); }

}  // namespace pgrid::tools
