// pgrid-control: wiring only.
#include <signal.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <optional>

#include "control/api/api.hpp"
#include "control/api/server.hpp"
#include "control/event_loop.hpp"
#include "control/log/log.hpp"
#include "control/node.hpp"
#include "control/process/compiler.hpp"
#include "control/store/files.hpp"
#include "drivers/config/node_config.hpp"

namespace pgrid::control {
namespace {

constexpr int kUsage = 2;   // exit status: configuration or arguments
constexpr int kFailed = 1;  // exit status: at run time

int failed(const Error& error, int status) {
  std::fprintf(stderr, "pgrid-control: %s\n", error.sentence().c_str());
  return status;
}

Result<void> serve(const config::NodeConfig& config) {
  if (Result<void> made = make_private_directory(config.run_dir); !made) return made;
  EventLoop loop;
  CompilerChild compiler(loop, find_compiler());
  const Result<std::string> fingerprint = compiler.fingerprint();
  if (!fingerprint) return std::unexpected(fingerprint.error());
  Result<std::unique_ptr<Node>> node = Node::open(loop, config, compiler, *fingerprint);
  if (!node) return std::unexpected(node.error());
  Api api(**node);
  Result<std::unique_ptr<Server>> server = Server::open(loop, api, config::control_socket(config));
  if (!server) return std::unexpected(server.error());
  const Pending signals = loop.on_signals({SIGTERM, SIGINT}, [&] { loop.stop(); });
  (*node)->start();
  std::fprintf(stderr, "pgrid-control: ready at %s\n", config::control_socket(config).c_str());
  loop.run();
  log_info("stopping");
  (*node)->stop();
  return {};
}

int run(int argc, char** argv) {
  std::string file;
  std::string node_dir;
  CLI::App app("The control process of a PromiseGrid node: rights, code, durable state, HTTP API.",
               "pgrid-control");
  app.add_option("--config", file, "node.toml")->required();
  app.add_option("--node", node_dir, "directory for sockets and state, instead of those of the system");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    return failed({Errc::invalid_argument, "", error.what(), "see --help"}, kUsage);
  }
  const Result<config::NodeConfig> config = config::read_node_config(file, node_dir);
  if (!config) return failed(config.error(), kUsage);
  (void)::signal(SIGPIPE, SIG_IGN);
  // Each process that is being loaded holds a descriptor of its code, all of them when the data plane comes back.
  if (rlimit files{}; ::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &files);
  }
  const Result<void> served = serve(*config);
  return served ? 0 : failed(served.error(), kFailed);
}

}  // namespace
}  // namespace pgrid::control

int main(int argc, char** argv) {
  try {
    return pgrid::control::run(argc, argv);
  } catch (const std::exception& error) {  // io_uring that the kernel refuses, memory
    std::fprintf(stderr, "pgrid-control: %s; if it is io_uring, see kernel.io_uring_disabled\n",
                 error.what());
    return 1;
  }
}
