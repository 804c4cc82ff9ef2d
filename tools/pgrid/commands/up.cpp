// pgrid up: runs a node in the foreground.
#include <unistd.h>

#include "drivers/config/node_config.hpp"
#include "tools/pgrid/command.hpp"
#include "tools/pgrid/find_program.hpp"
#include "tools/pgrid/supervisor/node_lock.hpp"
#include "tools/pgrid/supervisor/supervisor.hpp"

namespace pgrid::tools {
namespace {

class Up : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own = app.add_subcommand("up", "Run a node until Ctrl-C: data plane, workers and control, each started "
                                             "again when it dies.");
    own.add_option("--config", config_, "the node's configuration (default: node.toml here, else /etc/pgrid/node.toml)")
        .type_name("FILE");
    own.footer("\nExample:\n  pgrid up --config docs/examples/node.toml --node /tmp/node1\n"
                "Then, in another terminal: pgrid --node /tmp/node1 stat");
    return own;
  }

  ExitCode run(Context& context) override {
    const Printer& printer = context.printer;
    const auto file = find_config();
    if (!file) return printer.report(ExitCode::usage, file.error());
    const auto config = config::read_node_config(*file, context.node_dir);
    if (!config) return printer.report(ExitCode::usage, config.error());
    if (const auto checked = config::check_interfaces(*config); !checked)
      return printer.report(ExitCode::usage, checked.error());
    auto specs = programs(context, *config);
    if (!specs) return printer.report(ExitCode::usage, specs.error());
    const auto lock = NodeLock::take(config->run_dir);
    if (!lock) return printer.report(ExitCode::usage, lock.error());

    const auto say = [&](const std::string& text) {
      if (printer.json())
        printer.print(nlohmann::json{{"event", text}});
      else
        printer.err() << "pgrid: " << text << std::endl;
    };
    const auto relay = [&](const std::string& line) { printer.err() << line << std::endl; };
    SupervisorTimes times;
    times.backoff_max = std::chrono::milliseconds(config->limits.restart_pause_max_us / 1000);
    Supervisor supervisor(std::move(*specs), times, say, relay);
    const auto outcome = supervisor.run([&] { say(welcome(context, *config)); });
    if (outcome) return ExitCode::ok;
    return printer.report(exit_code_of(outcome.error().code), outcome.error());
  }

 private:
  [[nodiscard]] Result<std::filesystem::path> find_config() const {
    if (!config_.empty()) return config_;
    for (const char* place : {"node.toml", "/etc/pgrid/node.toml"})
      if (std::filesystem::exists(place)) return place;
    return fail(Errc::invalid_argument, "there is neither node.toml here nor /etc/pgrid/node.toml", "",
                "name a file with --config; docs/examples/node.toml is a commented example");
  }

  [[nodiscard]] static Result<std::vector<ChildSpec>> programs(const Context& context, const config::NodeConfig& config) {
    std::vector<ChildSpec> specs;
    // Absolute, so that a program's sentence can be followed from any directory.
    std::error_code status;
    const std::string file = std::filesystem::absolute(config.file, status).string();
    const auto add = [&](Role role, const std::string& name, const std::string& program,
                         const std::vector<std::string>& more) -> Result<void> {
      const auto path = find_program(program);
      if (!path) return std::unexpected(path.error());
      std::vector<std::string> argv{path->string()};
      argv.insert(argv.end(), more.begin(), more.end());
      argv.insert(argv.end(), {"--config", file});
      if (!context.node_dir.empty())
        argv.insert(argv.end(), {"--node", std::filesystem::absolute(context.node_dir, status).string()});
      specs.push_back({role, name, std::move(argv), program + ": ready"});
      return {};
    };
    if (const auto added = add(Role::data_plane, "data plane", "pgrid-dataplane", {}); !added)
      return std::unexpected(added.error());
    for (std::size_t i = 0; i < config.worker_cores.size(); ++i)
      if (const auto added = add(Role::worker, "worker " + std::to_string(i), "pgrid-worker",
                                 {"--index", std::to_string(i)});
          !added)
        return std::unexpected(added.error());
    if (const auto added = add(Role::control, "control", "pgrid-control", {}); !added)
      return std::unexpected(added.error());
    return specs;
  }

  [[nodiscard]] static std::string welcome(const Context& context, const config::NodeConfig& config) {
    std::string addresses;
    for (const config::Port& port : config.ports)
      for (const config::Address& address : port.addresses) {
        std::string text = config::to_string(address);
        text.resize(text.find('/'));
        if (!address.is_v4) text = '[' + text + ']';
        addresses += (addresses.empty() ? "" : ", ") + text + ':' + std::to_string(port.udp_port);
      }
    return "node \"" + config.name + "\" serves " + (addresses.empty() ? "no address" : addresses) +
           " in plaintext: rights cross the network in clear. Next: pgrid deploy FILE.wasm" + context.node_option();
  }

  std::filesystem::path config_;
};

}  // namespace

std::unique_ptr<Command> make_up() { return std::make_unique<Up>(); }

}  // namespace pgrid::tools
